"""OAUTHBEARER: tokens for the brokers, asked for by client credentials (RFC 6749, 4.4) and kept until they end."""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from aiokafka import errors
from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import OAuthAuthenticator, create_conn
from aiokafka.protocol.admin import SaslAuthenticateRequest, SaslHandShakeRequest

from client_credentials.protocol import ANSWER_BYTES_MAX, HEADERS, Held, error_name, form, held, login

TIMEOUT_S = 5.0
"""For one answer of the token server, from connecting to its last byte."""

AGAIN_S = 2.0
"""After a failure the server is left alone for this long: every connection to a broker needs a token."""


class TokenRefused(errors.SaslAuthenticationFailed):  # type: ignore[misc]  # aiokafka has no types
    """The token server gives us no token; an operator has to change something."""


class TokenServerAway(errors.KafkaConnectionError):  # type: ignore[misc]
    """The token server cannot be asked just now."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What is shown to the token server, and where it is. tls: how its certificate is checked."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None
    tls: ssl.SSLContext


class TokenSource(AbstractTokenProvider):  # type: ignore[misc]
    """Gives every connection of one log the same token, renewed before it ends.

    problem: why there is no token, None where there is one. now: seconds of a clock that never goes back.
    """

    def __init__(self, credentials: ClientCredentials, now: Callable[[], float] = time.monotonic) -> None:
        self.credentials = credentials
        self._now = now
        self.problem: str | None = None
        self._held: Held | None = None
        self._asked = 0.0
        self._failed: tuple[float, errors.KafkaError] | None = None
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """Return a valid token. Raises `TokenRefused`, `TokenServerAway`; a token that is still valid outlasts both."""
        async with self._asking:
            if self._held is None or self._now() >= self._asked + self._held.renew_after_s:
                try:
                    await self._renew()
                except (TokenRefused, TokenServerAway) as error:
                    if self._held is None or self._now() >= self._asked + self._held.ends_after_s:
                        self.problem = error.args[0]
                        raise
            assert self._held is not None  # noqa: S101  # or it was raised
            self.problem = None
            return self._held.value

    async def _renew(self) -> None:
        now = self._now()
        if self._failed is not None and now < self._failed[0] + AGAIN_S:
            raise self._failed[1]
        try:
            self._held, self._asked, self._failed = await self._ask(), now, None
        except (TokenRefused, TokenServerAway) as error:
            self._failed = self._now(), error
            raise

    async def _ask(self) -> Held:
        shown = self.credentials
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, answer = await self._answer()
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
            why = "no answer in time" if isinstance(error, TimeoutError | httpx.TimeoutException) else str(error)
            raise TokenServerAway(
                f"The token server {shown.url} cannot be asked: {why}. Is it running, is kafka.token_url right, "
                "and is its certificate signed by the CA in kafka.token_ca_file?"
            ) from None
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise TokenServerAway(f"The token server {shown.url} answers {status}. Ask whoever runs it.")
        if status != httpx.codes.OK:
            error_told = " ".join(filter(None, (str(status), error_name(answer))))
            raise TokenRefused(
                f"The token server {shown.url} refuses the client {shown.client_id} ({error_told}). "
                "Check kafka.client_id, kafka.client_secret_file and kafka.scope."
            )
        try:
            return held(answer)
        except ValueError as error:
            raise TokenRefused(
                f"The token server {shown.url} answers with no token: {error}. Is kafka.token_url right?"
            ) from None

    async def _answer(self) -> tuple[int, bytes]:
        shown = self.credentials
        auth = httpx.BasicAuth(*login(shown.client_id, shown.client_secret))
        async with (
            httpx.AsyncClient(verify=shown.tls, timeout=TIMEOUT_S, follow_redirects=False) as client,
            client.stream("POST", shown.url, data=form(shown.scope), headers=HEADERS, auth=auth) as answer,
        ):
            body = b""
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > ANSWER_BYTES_MAX:
                    return answer.status_code, b""
            return answer.status_code, body


async def bearer_problem(source: TokenSource, arguments: dict[str, Any]) -> str | None:
    """Return why there is no token for us, or the first broker that answers does not take it; else None.

    arguments: aiokafka's. It goes through the login itself: a broker tells of a token that it does not take in an
    answer that aiokafka does not look at, and then closes the connection, as one does that is away.
    """
    try:
        payload, _ = await OAuthAuthenticator(sasl_oauth_token_provider=source).step(None)
    except TokenRefused as error:
        return str(error.args[0])
    except TokenServerAway:
        return None
    for address in arguments.pop("bootstrap_servers"):
        host, _, port = address.rpartition(":")
        try:
            connection = await create_conn(host.strip("[] "), int(port), **arguments | {"security_protocol": "SSL"})
            try:
                hands = await connection.send(SaslHandShakeRequest("OAUTHBEARER"))
                if hands.error_code:
                    taken = ", ".join(hands.enabled_mechanisms)
                    return f"{address}: it takes no OAUTHBEARER, but {taken}. Check kafka.sasl_mechanism."
                answer = await connection.send(SaslAuthenticateRequest(payload))
            finally:
                connection.close()
        except (OSError, TimeoutError, errors.KafkaError):
            continue
        if answer.error_code or answer.sasl_auth_bytes:
            return (
                f"{address}: it does not take the token that {source.credentials.url} gave the client "
                f"{source.credentials.client_id}. Check that the token's issuer, audience and scope are those that "
                "the brokers expect (sasl.oauthbearer.expected.*), and that the clocks agree."
            )
        return None
    return None
