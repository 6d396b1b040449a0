"""A webhook as a source: their system calls it with JSON, and is answered when what it told is kept."""

import asyncio
import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from municipality_connectors.mapping.plan import Plan
from municipality_connectors.report import PublishReport
from municipality_connectors.sources.documents import document_table
from municipality_connectors.sources.portion import MarkOf, Portion
from municipality_connectors.state.store import StoreUnusable
from municipality_connectors.tables import SourceError, Table

BODY_BYTES_MAX = 16 * 1024 * 1024
BODY_TIMEOUT_S = 30.0
AT_ONCE = 8
"""Calls that are worked on at the same time; more wait their turn."""


@dataclass(frozen=True)
class Hook:
    """One path that is called. items: where a call's items are, None for the body itself."""

    plan: Plan
    path: str
    items: str | None = None


@dataclass(frozen=True)
class Webhook:
    """Where calls come in. secret: what a caller shows as a bearer token. certificate, key: for TLS."""

    host: str
    port: int
    secret: str
    hooks: Sequence[Hook]
    certificate: Path | None = None
    key: Path | None = None

    def portions(self, mark_of: MarkOf) -> Iterator[Portion | SourceError]:  # noqa: ARG002  # it is called
        """Iterate over nothing: what comes, comes by itself."""
        return iter(())


class CallPortion(Portion):
    """What one call told: states of things, in its order. Nobody reads it again, so it leaves no mark."""

    whole = False
    successive = True
    lasting = False

    def __init__(self, hook: Hook, document: Any) -> None:
        self.place = hook.path
        self._hook, self._document = hook, document

    def tables(self) -> Iterator[tuple[Plan, Table] | SourceError]:
        """Give the call's items."""
        yield document_table(self._hook.plan, self._document, self._hook.items, may_be_empty=False)


Take = Callable[[CallPortion], PublishReport]
"""Keeps what a call told; durable on return."""


def webhook_app(webhook: Webhook, take: Take) -> Starlette:
    """Return the application that is called."""
    turns = asyncio.Semaphore(AT_ONCE)

    def route(hook: Hook) -> Route:
        async def called(request: Request) -> Response:
            if not _may(request, webhook.secret):
                return _told(401, "unauthorized", "Vis hemmeligheden som »Authorization: Bearer …«.")
            try:
                document = await _document(request)
            except SourceError as error:
                return _told(_STATUSES.get(error.problem, 400), error.problem, error.message)
            try:
                async with turns:
                    report = await run_in_threadpool(take, CallPortion(hook, document))
            except StoreUnusable as error:
                return _told(503, "memory-unusable", str(error))
            return JSONResponse(_answer(report), 422 if report.refusals else 200)

        return Route(hook.path, called, methods=["POST"])

    return Starlette(routes=[route(hook) for hook in webhook.hooks])


_STATUSES = {"too-large": 413, "media-type": 415, "timeout": 408}


def _may(request: Request, secret: str) -> bool:
    shown = request.headers.get("authorization", "")
    return hmac.compare_digest(shown.encode("latin-1"), f"Bearer {secret}".encode())


async def _document(request: Request) -> Any:
    """Return a call's JSON. Raises `SourceError`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise SourceError("media-type", "Send JSON, med Content-Type: application/json.")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    raise SourceError("too-large", "Kaldet fylder over 16 MB. Del det op.")
    except (TimeoutError, ClientDisconnect):
        raise SourceError("timeout", "Kaldet blev ikke sendt færdigt.") from None
    try:
        return orjson.loads(bytes(body))
    except orjson.JSONDecodeError as error:
        raise SourceError("unreadable", f"Kaldet er ikke JSON ({error}).") from None


def _answer(report: PublishReport) -> dict[str, Any]:
    """Return what a caller is told: how much was kept, and what is wrong with the rest."""
    refusals = [{key: value for key, value in row._asdict().items() if value is not None} for row in report.refusals]
    kept = report.new + report.changed + report.withdrawn
    return {"kept": kept, "unchanged": report.unchanged, "refused": report.refused, "refusals": refusals}


def _told(status: int, problem: str, message: str) -> Response:
    return JSONResponse({"problem": problem, "message": message}, status)
