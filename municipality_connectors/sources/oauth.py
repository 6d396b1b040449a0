"""Tokens by OAuth 2.0 client credentials (RFC 6749, 4.4): asked for, kept until shortly before they end, asked anew."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from client_credentials.protocol import ANSWER_BYTES_MAX, HEADERS, Held, error_name, form, held, login
from municipality_connectors.tables import SourceError

TIMEOUT_S = 20.0


@dataclass
class ClientCredentials:
    """Where tokens are asked for, and as whom."""

    token_url: str
    client_id: str
    client_secret: str
    scope: str | None = None
    clock: Callable[[], float] = time.monotonic
    _held: Held | None = field(default=None, init=False, repr=False)
    _asked_s: float = field(default=0.0, init=False, repr=False)

    def __repr__(self) -> str:
        """Say whom it is for, and not the secret."""
        return f"ClientCredentials({self.token_url!r}, {self.client_id!r})"

    def forget(self) -> None:
        """Ask anew next time: the token was not accepted."""
        self._held = None

    def token(self, place: str) -> str:
        """Return a token that still counts. Raises `SourceError`."""
        now_s = self.clock()
        if self._held is None or now_s >= self._asked_s + self._held.renew_after_s:
            self._held, self._asked_s = self._asked(place), now_s
        return self._held.value

    def _asked(self, place: str) -> Held:
        try:
            status, answer = self._answer()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            message = f"Tokenserveren svarer ikke ({type(error).__name__}). Er »token-url« rigtig?"
            raise SourceError("token-server-away", message, place=place) from None
        try:
            return held(answer)
        except ValueError:
            told = " ".join(filter(None, (str(status), error_name(answer))))
            message = (
                f"Tokenserveren gav os intet token (svar {told}). Er »client-id«, hemmeligheden og »scope« rigtige?"
            )
            raise SourceError("no-token", message, place=place) from None

    def _answer(self) -> tuple[int, bytes]:
        """Ask; an answer that is too long is none."""
        with httpx.stream(
            "POST", self.token_url, data=form(self.scope), auth=login(self.client_id, self.client_secret),
            headers=HEADERS, timeout=TIMEOUT_S, follow_redirects=False,
        ) as answer:  # fmt: skip
            body = b""
            for piece in answer.iter_raw():
                body += piece
                if len(body) > ANSWER_BYTES_MAX:
                    return answer.status_code, b""
            return answer.status_code, body
