"""Bearer tokens: signing our own, and checking whoever's they are.

The algorithm follows from the key, never from a token's header. Source: RFC 7519, RFC 8725.
"""

import asyncio
import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Protocol

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from exchange_gateway.clock import Clock
from exchange_gateway.core.access import NATIVE_CLIENT, Principal, Role
from exchange_gateway.telemetry import log_event
from schemas.identifiers import OURSELVES, InvalidIdentifier, Participant

ISSUER = "urn:kommunebro:instance"
ALGORITHMS_OF_KEYS = {
    "OKP": ["Ed25519", "EdDSA"],
    "EC": ["ES256", "ES384", "ES512"],
    "RSA": ["RS256", "PS256", "RS512", "PS512"],
}
"""Only signatures with a public key: a shared secret could be forged by whoever checks it."""

TOKEN_BYTES_MAX = 8 * 1024
POINTS_OF_A_TOKEN = 2
CACHED_TOKENS_MAX = 4096
"""A signature takes 130 µs to check, a look into the cache 0.5 µs."""

REPRESENTS_MAX = 100
CLOCK_SKEW_S = 30
_CLIENT_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class InvalidToken(Exception):
    """The token does not count; the text says why, and never repeats it."""


class PublicKeys(Protocol):
    """Where the keys come from that a token may be signed with."""

    async def find(self, key_id: str | None) -> KeySet:
        """Return the keys in force; one that does not know `key_id` may look for newer ones."""


class OwnKey:
    """The instance's own signing key."""

    def __init__(self, key: OKPKey) -> None:
        self._keys = KeySet([key])

    async def find(self, key_id: str | None) -> KeySet:  # noqa: ARG002  # there is one
        """Return the one key there is."""
        return self._keys


class IssuerKeys:
    """An external issuer's keys, fetched from its key set and kept while the issuer is away."""

    FETCH_EVERY_S = 30.0
    """An unknown key id leads to a fetch at most this often, so that forged tokens cannot flood the issuer."""

    TIMEOUT_S = 5.0
    BYTES_MAX = 256 * 1024

    def __init__(self, url: str, clock: Clock) -> None:
        self._url, self._clock = url, clock
        self._keys = KeySet([])
        self._fetched_us: int | None = None
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str | None) -> KeySet:
        """Return the keys known, after a look for newer ones when `key_id` is not among them."""
        if not self._knows(key_id):
            async with self._fetching:
                due = self._fetched_us is None or self._clock.now_us() - self._fetched_us >= self.FETCH_EVERY_S * 1e6
                if due and not self._knows(key_id):
                    await self._fetch()
        return self._keys

    def _knows(self, key_id: str | None) -> bool:
        return any(key_id is None or key.kid == key_id for key in self._keys.keys)

    async def _fetch(self) -> None:
        self._fetched_us = self._clock.now_us()
        try:
            async with httpx.AsyncClient(timeout=self.TIMEOUT_S, follow_redirects=False) as client:
                answer = await client.get(self._url)
                answer.raise_for_status()
            if len(answer.content) <= self.BYTES_MAX:
                self._keys = KeySet.import_key_set(answer.json())
        except (httpx.HTTPError, ValueError, KeyError, TypeError, JoseError) as error:
            log_event("issuer_unavailable", "warning", error=type(error).__name__)


def sign_token(
    key: OKPKey,
    *,
    participant: str,
    roles: Iterable[Role],
    represents: Iterable[str] = (),
    audience: str,
    ttl_s: int,
    now_s: int,
    client: str | None = None,
) -> str:
    """Return a token. Raises `InvalidIdentifier` for a participant that cannot be one."""
    for name in (participant, *represents):
        Participant(name)
    if OURSELVES in (participant, *represents):
        raise InvalidIdentifier(f"{OURSELVES!r} is Kommunebro itself; nobody else speaks for it.")
    if client is not None and not _CLIENT_ID.fullmatch(client):
        raise InvalidIdentifier("A client's name has 1 to 64 of A-Z, a-z, 0-9, '.', '_', ':' and '-'.")
    if client is not None and client.startswith(NATIVE_CLIENT):
        raise InvalidIdentifier(f"{NATIVE_CLIENT!r} begins what is recorded of producers on Kafka; name it otherwise.")
    claims = {
        "iss": ISSUER,
        "aud": audience,
        "sub": client or f"{participant}:{secrets.token_hex(4)}",
        "participant": participant,
        "represents": sorted(set(represents)),
        "roles": sorted({str(role) for role in roles}),
        "iat": now_s,
        "exp": now_s + ttl_s,
    }
    return jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=["Ed25519"])


class TokenChecker:
    """Turns a bearer token into a `Principal`, and remembers it until it expires."""

    def __init__(self, keys: PublicKeys, *, issuer: str, audience: str, clock: Clock) -> None:
        self._keys, self._issuer, self._audience, self._clock = keys, issuer, audience, clock
        self._cache: OrderedDict[str, tuple[Principal, int]] = OrderedDict()

    def cached(self, token: str) -> Principal | None:
        """Return the principal of a token that was checked before and still counts."""
        found = self._cache.get(token)
        if found is None or found[1] * 1_000_000 <= self._clock.now_us():
            return None
        return found[0]

    async def check(self, token: str) -> Principal:
        """Return whom the token speaks for. Raises `InvalidToken`."""
        known = self.cached(token)
        if known is not None:
            return known
        claims = await self._verified_claims(token)
        principal = principal_of(claims)
        self._cache[token] = (principal, int(claims["exp"]))
        if len(self._cache) > CACHED_TOKENS_MAX:
            self._cache.popitem(last=False)
        return principal

    async def _verified_claims(self, token: str) -> dict[str, Any]:
        if len(token) > TOKEN_BYTES_MAX:
            raise InvalidToken(f"The token is longer than {TOKEN_BYTES_MAX} characters.")
        if token.count(".") != POINTS_OF_A_TOKEN:
            raise InvalidToken("What was shown is no token: it has three parts with points between them. Is it whole?")
        try:
            keys = await self._keys.find(_key_id(token))
            algorithms = sorted({name for key in keys.keys for name in ALGORITHMS_OF_KEYS.get(key.key_type, [])})
            decoded = jwt.decode(token, keys, algorithms=algorithms)
        except (JoseError, ValueError, TypeError, KeyError):
            raise InvalidToken(
                "The token's signature does not count here: it was altered, or signed by another instance."
            ) from None
        self._check_claims(decoded.claims)
        return decoded.claims

    def _check_claims(self, claims: dict[str, Any]) -> None:
        now_s = self._clock.now_us() // 1_000_000
        audience = claims.get("aud")
        if claims.get("iss") != self._issuer:
            raise InvalidToken("The token comes from another issuer.")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise InvalidToken("The token is meant for another audience.")
        expires, not_before = claims.get("exp"), claims.get("nbf", 0)
        if not isinstance(expires, int) or isinstance(expires, bool) or not isinstance(not_before, int):
            raise InvalidToken("The token has no expiry.")
        if expires <= now_s:
            raise InvalidToken("The token has expired; get a new one.")
        if not_before > now_s + CLOCK_SKEW_S:
            raise InvalidToken("The token is not valid yet.")


def principal_of(claims: dict[str, Any]) -> Principal:
    """Read whom a token's claims speak for. Raises `InvalidToken`."""
    represents, roles = claims.get("represents", []), claims.get("roles", [])
    if not (_is_texts(represents) and _is_texts(roles)) or len(represents) > REPRESENTS_MAX:
        raise InvalidToken("The token's `roles` and `represents` are lists of texts.")
    try:
        participant = Participant(str(claims.get("participant", "")))
        others = frozenset(str(Participant(name)) for name in represents)
    except InvalidIdentifier as error:
        raise InvalidToken(f"The token names no right participant: {error}") from None
    if OURSELVES in others | {participant}:
        raise InvalidToken("No token speaks for Kommunebro itself.")
    known = frozenset(Role(role) for role in roles if role in Role.__members__.values())
    return Principal(str(participant), known, others, _client_id(claims))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _client_id(claims: dict[str, Any]) -> str:
    """Return the client's id for the log. A foreign `sub` may be a person's name, so it is hashed."""
    ours = claims.get("iss") == ISSUER
    for name in ("sub",) if ours else ("client_id", "azp"):
        client = str(claims.get(name, ""))
        if _CLIENT_ID.fullmatch(client) and not client.startswith(NATIVE_CLIENT):
            return client
    return "sub-" + hashlib.sha256(str(claims.get("sub", "")).encode("utf-8", "replace")).hexdigest()[:16]


def _key_id(token: str) -> str | None:
    """Return the key id in the token's header, unchecked: only a hint for finding the key."""
    from joserfc.jws import extract_compact  # noqa: PLC0415  # the only use, and a heavy module

    key_id = extract_compact(token.encode()).headers().get("kid")
    return key_id if isinstance(key_id, str) else None
