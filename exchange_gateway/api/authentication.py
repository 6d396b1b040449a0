"""From a request to a `Principal`: the bearer token, and how often its participant may ask."""

from collections import OrderedDict

from starlette.requests import Request

from exchange_gateway.api.problems import Problem
from exchange_gateway.clock import Clock
from exchange_gateway.core.access import Principal, Role, lacks_role
from exchange_gateway.core.rate import Bucket, take
from exchange_gateway.settings import Limits
from exchange_gateway.tokens import InvalidToken, TokenChecker

BUCKETS_MAX = 20_000
"""Participants whose rate is remembered; there are some 500, so only forged ones could be more."""


class Authentication:
    """Checks tokens, and the rate where one is set."""

    def __init__(self, checker: TokenChecker, limits: Limits, clock: Clock) -> None:
        self._checker, self._limits, self._clock = checker, limits, clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    async def principal(self, authorization: bytes | None) -> Principal:
        """Return whom an `Authorization` header speaks for. Raises `Problem`."""
        challenge = {"WWW-Authenticate": 'Bearer realm="kommunebro"'}
        if authorization is None:
            detail = "The request has no token. Send `Authorization: Bearer <token>`; `kommunebro token` makes one."
            raise Problem("unauthorized", detail, headers=challenge)
        scheme, _, token = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise Problem(
                "unauthorized", "The Authorization header is not of the form 'Bearer <token>'.", headers=challenge
            )
        token = token.strip()
        try:
            principal = self._checker.cached(token) or await self._checker.check(token)
        except InvalidToken as error:
            raise Problem("unauthorized", str(error), headers=challenge) from None
        if self._limits.rate_per_s is not None:
            self._count(principal.participant, self._limits.rate_per_s)
        return principal

    def cached(self, authorization: bytes | None) -> Principal | None:
        """Return whom a header speaks for if that is known already, and nothing is counted; else None."""
        if authorization is None or self._limits.rate_per_s is not None or not authorization.startswith(b"Bearer "):
            return None
        return self._checker.cached(authorization[7:].decode("latin-1"))

    def _count(self, participant: str, rate_per_s: float) -> None:
        now_us, burst = self._clock.now_us(), self._limits.rate_burst
        bucket = self._buckets.pop(participant, Bucket(burst, now_us))
        self._buckets[participant], wait_s = take(bucket, rate_per_s=rate_per_s, burst=burst, now_us=now_us)
        if len(self._buckets) > BUCKETS_MAX:
            self._buckets.popitem(last=False)
        if wait_s > 0:
            headers = {"Retry-After": str(int(wait_s) + 1)}
            raise Problem(
                "rate-limited", f"At most {rate_per_s:g} requests a second are taken from you.", headers=headers
            )


async def principal(request: Request) -> Principal:
    """Return the request's principal: a dependency for handlers. Raises `Problem`."""
    authentication: Authentication = request.app.state.gateway.authentication
    authorization = request.headers.get("authorization")
    return await authentication.principal(None if authorization is None else authorization.encode("latin-1"))


def require(request_principal: Principal, *roles: Role) -> None:
    """Raise `Problem` unless the principal has one of the roles."""
    denied = lacks_role(request_principal, *roles)
    if denied is not None:
        raise Problem(denied.problem, denied.detail)
