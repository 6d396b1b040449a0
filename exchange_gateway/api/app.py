"""The HTTP application: the hot route first, then FastAPI; one request id and one rendering of errors for both."""

import itertools
import secrets
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Route

from broker_adapters.log import LogError
from exchange_gateway.api import (
    alliances,
    audit,
    connectors,
    health,
    job_orders,
    quarantine,
    schemas_api,
    stream,
    subscriptions,
    trace,
)
from exchange_gateway.api.connections import Connections
from exchange_gateway.api.described import describe
from exchange_gateway.api.direct import SEND, Reply
from exchange_gateway.api.problems import Problem, problem_response
from exchange_gateway.api.publish import PATH, VALIDATE_PATH, ClientGone, PublishRoute, Receive, Scope, Send, accepted
from exchange_gateway.api.pulling import PATH_OF_PULLS, Pull, PullResponse, Waiting, pulled, usual_pull, whole_reply
from exchange_gateway.ingest import Outcome, Refused
from exchange_gateway.log_problems import problem_of_log
from exchange_gateway.telemetry import Seldom, log_event
from schemas.event import Violation

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway
    from exchange_gateway.spans import Tracing

CHOSEN = "kommunebro.chosen"
"""Where a request's scope says whether it is traced, once that is decided."""

_DIRECT_HEADERS = b"content-type: application/json\r\nx-request-id: %b\r\n"
"""Of an answer that is sent in one write."""

READING = frozenset({"GET", "HEAD"})

_ROUTES = (health, job_orders, subscriptions, stream, alliances, audit, trace, quarantine, connectors, schemas_api)

Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]


class App:
    """The ASGI application. `/v1/events` never reaches FastAPI: that alone doubled its speed."""

    def __init__(self, gateway: "Gateway", open_files: int | None = None) -> None:
        self._gateway = gateway
        self.connections = Connections(gateway.settings.limits, open_files)
        self._publish = PublishRoute(gateway.ingest, gateway.authentication, gateway.settings.limits, gateway.metrics)
        self._fastapi = build_fastapi(gateway, self.connections)
        self._metrics, self._tracing = gateway.metrics, gateway.tracing
        self._ids = map("{:x}".format, itertools.count())
        self._run = secrets.token_hex(4)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        if scope["type"] != "http":
            await self._fastapi(scope, receive, send)  # type: ignore[arg-type]  # ASGI is untyped in its details
            return
        request_id = f"{self._run}-{next(self._ids)}"
        answer = _Answer(send, request_id)
        route = scope["path"] if scope["path"] in (PATH, VALIDATE_PATH) else None
        try:
            if self._tracing is not None and route is not None:
                await self._publish_traced(self._tracing, scope, receive, answer, request_id)
            elif route is not None:
                await self._publish(scope, receive, answer)
            elif (pull := usual_pull(scope)) is not None:
                route = PATH_OF_PULLS
                with structlog.contextvars.bound_contextvars(request_id=request_id):
                    await self._pull(pull, scope, receive, answer)
            else:
                scope[SEND] = answer
                with structlog.contextvars.bound_contextvars(request_id=request_id):
                    await self._fastapi(scope, receive, answer)  # type: ignore[arg-type]
                route = getattr(scope.get("route"), "path", "unknown")
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  # the last place where one can be told
            await self._fail(scope, receive, answer, request_id, error)
        self._metrics.count(self._metrics.requests, (scope["method"][:10], route or "unknown", str(answer.status)))

    async def _publish_traced(
        self, tracing: "Tracing", scope: Scope, receive: Receive, answer: "_Answer", request_id: str
    ) -> None:
        """Answer a publishing request, in a span where it is chosen for one."""
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            if not (scope[CHOSEN] if CHOSEN in scope else tracing.chosen(scope["headers"])):
                await self._publish(scope, receive, answer)
                return
            with tracing.request(f"{scope['method'][:10]} {scope['path']}", scope["headers"], request_id) as span:
                try:
                    await self._publish(scope, receive, answer)
                    span.set_attribute("http.response.status_code", answer.status)
                except Exception as error:
                    problem = _problem_of(error).type
                    span.set_attributes({"http.response.status_code": problem.status, "error.type": problem.name})
                    raise

    def is_direct(self, scope: Scope) -> bool:
        """Tell whether a request may be for the hot route; see `direct.py`."""
        if (scope["path"], scope["method"]) != (PATH, "POST"):
            return False
        if self._tracing is None:
            return True
        scope[CHOSEN] = self._tracing.chosen(scope["headers"])
        return not scope[CHOSEN]

    def submit(self, scope: Scope, body: bytes, reply: Reply) -> bool:
        """Take one event of the usual kind without a task, or leave it to `__call__`."""
        if self._tracing is not None and b'"traceparent"' in body:
            return False
        began = time.perf_counter()

        def answered(outcome: Outcome) -> None:
            if isinstance(outcome, Refused):
                reply.hand_over(partial(self._refuse, outcome.problem))
                return
            status, answer = accepted(outcome)
            request_id = f"{self._run}-{next(self._ids)}"
            reply.send(status, _DIRECT_HEADERS % request_id.encode(), answer)
            self._metrics.publish_seconds.observe(time.perf_counter() - began)
            self._metrics.count(self._metrics.requests, ("POST", PATH, str(status)))

        return self._publish.submit(scope["headers"], body, answered)

    async def _pull(self, pull: Pull, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        reader = await self._gateway.authentication.principal(dict(scope["headers"]).get(b"authorization"))
        body = await pulled(self._gateway, reader, pull, Waiting(self.connections, scope))
        reply = whole_reply(body, scope)
        if reply is not None:
            answer.send_whole(reply, b"cache-control: no-store\r\n", body)
        else:
            await PullResponse(body, self.connections.answers)(scope, receive, answer)  # type: ignore[arg-type]

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a problem that was found outside of a task."""
        answer = _Answer(send, f"{self._run}-{next(self._ids)}")
        await problem_response(problem)(scope, receive, answer)  # type: ignore[arg-type]
        self._metrics.count(self._metrics.requests, ("POST", PATH, str(answer.status)))

    async def _fail(self, scope: Scope, receive: Receive, answer: "_Answer", request_id: str, error: Exception) -> None:
        problem = _problem_of(error)
        if isinstance(error, LogError):
            tell_log_error(self._fastapi.state.unavailable, error)
        if problem.type.name == "internal":
            log_event("request_failed", "error", request_id=request_id, path=scope["path"], error=repr(error)[:500])
        if answer.status:
            # An answer that has begun cannot become a problem: breaking it off tells that it is not whole.
            raise error
        await problem_response(problem)(scope, receive, answer)  # type: ignore[arg-type]


class _Answer:
    """Sends on, adds `X-Request-Id`, and remembers the status."""

    __slots__ = ("_request_id", "_send", "status")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._request_id, self.status = send, request_id.encode(), 0

    async def __call__(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self._request_id)]
        await self._send(message)

    def send_whole(self, reply: Reply, headers: bytes, body: bytes) -> None:
        """Send JSON at once, past what this sends on to. headers: whole lines, besides those that all have."""
        self.status = 200
        reply.send(self.status, _DIRECT_HEADERS % self._request_id + headers, body)


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, LogError):
        return problem_of_log(error)
    return (
        error if isinstance(error, Problem) else Problem("internal", "Something unexpected went wrong; it is logged.")
    )


def build_fastapi(gateway: "Gateway", connections: Connections) -> FastAPI:
    """Return the FastAPI application with all routes but the hot one."""
    app = FastAPI(
        title="Kommunebro",
        version=gateway.version,
        summary="Job orders, company contacts and visits, exchanged between Danish municipalities",
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.gateway, app.state.connections = gateway, connections
    app.state.unavailable = Seldom("log_unavailable")
    for module in _ROUTES:
        app.include_router(module.router)
    handlers: dict[type[Exception], Handler] = {
        Problem: _on_problem,
        LogError: _on_log_error,
        RequestValidationError: _on_bad_parameter,
        HTTPException: _on_http_exception,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    describe(app)
    return app


async def _on_problem(_: Request, error: Problem) -> Response:
    return problem_response(error)


async def _on_log_error(request: Request, error: LogError) -> Response:
    tell_log_error(request.app.state.unavailable, error)
    return problem_response(problem_of_log(error, reading=request.method in READING))


def tell_log_error(unavailable: Seldom, error: LogError) -> None:
    """Tell the operator what a caller is told as 503."""
    unavailable.tell(
        error=f"{type(error).__name__}: {error}"[:300],
        detail="Callers get 503 and try again; nothing that was acknowledged is lost. Look at the brokers, or at the "
        "disk of the embedded log; GET /readyz says when it is back.",
    )


async def _on_bad_parameter(_: Request, error: RequestValidationError) -> Response:
    violations = [
        Violation("/" + "/".join(str(part) for part in row["loc"][1:]), row["type"], row["msg"])
        for row in error.errors()
    ]
    names = ", ".join(sorted({violation.pointer[1:] for violation in violations}))
    return problem_response(Problem("bad-parameter", f"Wrong: {names}.", violations=violations))


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:  # noqa: PLR2004  # Starlette raises it by number
        detail = f"{request.url.path} does not know {request.method}."
        return problem_response(Problem("method-not-allowed", detail, headers={"Allow": _methods_of(request)}))
    return problem_response(Problem("not-found", f"There is no {request.url.path[:200]}."))


def _methods_of(request: Request) -> str:
    """Return what a path knows, for `Allow`. Starlette names the methods of the first route with that path only."""
    routes = [route for module in _ROUTES for route in module.router.routes if isinstance(route, Route)]
    fitting = [route for route in routes if route.path_regex.match(request.scope["path"])]
    return ", ".join(sorted({name for route in fitting for name in route.methods or ()}))
