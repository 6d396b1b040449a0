"""Kommunebro's Python client: publish, read, subscribe, audit.

`Client` is for ordinary programs, `AsyncClient` for those with asyncio; both do the same. `kommunebro.dataset` has the
types of what events hold. `docs/python-client.md` shows how.
"""

from kommunebro.answers import (
    Agreement,
    DryRun,
    Filter,
    JobOrderItem,
    Lag,
    Pulled,
    Record,
    Streamed,
    Subscription,
    Trace,
)
from kommunebro.async_client import AsyncClient
from kommunebro.client import Client
from kommunebro.errors import (
    BadAddress,
    ClientError,
    CursorExpired,
    GatewayUnavailable,
    NotAllowed,
    NotFound,
    Problem,
    Refused,
    Result,
    TokenRefused,
    Violation,
)

__all__ = [
    "Agreement",
    "AsyncClient",
    "BadAddress",
    "Client",
    "ClientError",
    "CursorExpired",
    "DryRun",
    "Filter",
    "GatewayUnavailable",
    "JobOrderItem",
    "Lag",
    "NotAllowed",
    "NotFound",
    "Problem",
    "Pulled",
    "Record",
    "Refused",
    "Result",
    "Streamed",
    "Subscription",
    "TokenRefused",
    "Trace",
    "Violation",
]
