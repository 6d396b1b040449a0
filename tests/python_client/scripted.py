"""A server that answers by a script: what a gateway never does, or not when a test wants it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from kommunebro import Client

Answer = tuple[int, dict[str, str], Any]
PROBLEM = {"type": "/problems/log-unavailable", "detail": "The log does not answer.", "retryable": True}


def accepted(body: bytes) -> Answer:
    results = [{"index": index, "id": str(index), "status": "accepted"} for index, _ in enumerate(body.splitlines())]
    return 200, {}, {"results": results}


class Handler(BaseHTTPRequestHandler):
    """Answers from a script; when it has run out, as a gateway would."""

    script: ClassVar[list[Answer | Callable[[bytes], Answer]]]
    bodies: ClassVar[list[bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.bodies.append(body)
        scripted = self.script.pop(0) if self.script else accepted
        status, headers, answer = scripted(body) if callable(scripted) else scripted
        if status == 0:
            self.connection.close()
            return
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST  # noqa: N815  # http.server's own name

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def a_server(*answers: Answer | Callable[[bytes], Answer]) -> Iterator[tuple[Client, list[bytes], list[float]]]:
    """Run a server that answers by a script; gives a client for it, the bodies it got, and the client's waits."""

    class Scripted(Handler):
        script: ClassVar[list[Answer | Callable[[bytes], Answer]]] = list(answers)
        bodies: ClassVar[list[bytes]] = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    waits: list[float] = []
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with Client(url, "t", patience_s=5.0, sleep=waits.append) as client:
            yield client, Scripted.bodies, waits
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
