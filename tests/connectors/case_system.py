"""A municipality's case system with a REST service, as its vendor might have built it: run for real, over HTTP."""

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

SECRET = "hemmeligt: æøå+%"
"""A secret that is only understood where it is encoded as RFC 6749 wants it."""
TOKEN = "adgang"


@dataclass
class CaseSystem:
    """What it holds, how it answers, and what it was asked."""

    url: str = ""
    cases: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    links: list[Response] = field(default_factory=list)
    tokens_given: int = 0
    tokens_end: bool = False

    def etag(self) -> str:
        """Return what changes with the cases."""
        return f'"{abs(hash(repr(self.cases)))}"'

    async def listed(self, request: Request) -> Response:
        """Answer with cases: by pages or a cursor, since a time, in an envelope, or with what the test wants next."""
        self.asked.append({**request.query_params, "etag": request.headers.get("if-none-match", "")})
        if request.headers.get("authorization") != f"Bearer {TOKEN}{self.tokens_given or ''}":
            return JSONResponse({"fejl": "adgang"}, 401)
        if self.answers:
            return self.answers.pop(0)
        query = request.query_params
        cases = [case for case in self.cases if case["opdateret"] >= query.get("siden", "")]
        if "side" in query:
            size, page = int(query["antal"]), int(query["side"])
            return JSONResponse({"data": {"sager": cases[(page - 1) * size : page * size]}})
        if "fra" in query or "trin" in query:
            begin = int(query.get("fra", "0"))
            following = str(begin + 2) if begin + 2 < len(cases) else None
            return JSONResponse({"data": {"sager": cases[begin : begin + 2]}, "næste": following})
        if request.headers.get("if-none-match") == self.etag():
            return Response(status_code=304)
        return JSONResponse({"data": {"sager": cases}}, headers={"ETag": self.etag()})

    async def linked(self, request: Request) -> Response:
        """Answer with pages that name the next one in a `Link` header, as RFC 8288 has it."""
        if self.links:
            return self.links.pop(0)
        page = int(request.query_params.get("p", "0"))
        headers = {"Link": f'</api/links?p={page + 1}>; rel="next"'} if page + 1 < len(self.cases) else {}
        return JSONResponse(self.cases[page : page + 1], headers=headers)

    async def token(self, request: Request) -> Response:
        """Give a token to a client that knows the secret."""
        form = dict(parse_qsl((await request.body()).decode()))
        login = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode()
        if form.get("grant_type") != "client_credentials" or unquote_plus(login) != f"struer:{SECRET}":
            return JSONResponse({"error": "invalid_client"}, 401)
        self.tokens_given += 1
        return JSONResponse({"access_token": f"{TOKEN}{self.tokens_given}", "token_type": "Bearer", "expires_in": 3600})

    def app(self) -> Starlette:
        """Return the service."""
        return Starlette(
            routes=[
                Route("/api/sager", self.listed), Route("/api/links", self.linked),
                Route("/token", self.token, methods=["POST"]),
            ]
        )  # fmt: skip


@contextmanager
def case_system() -> Iterator[CaseSystem]:
    """Run a case system."""
    system = CaseSystem()
    server = uvicorn.Server(uvicorn.Config(system.app(), log_level="error", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        system.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            yield system
        finally:
            server.should_exit = True
            thread.join(timeout=10)


HTML = HTMLResponse("<!DOCTYPE html><html><body>Log ind</body></html>")
ELSEWHERE = RedirectResponse("https://login.example/")
