"""A token server as municipalities have one: RSA-signed tokens by client credentials over TLS, and its public keys."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote_plus

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "gateway", "hemmeligt: æøå+%"
"""A secret that is only understood where it is encoded as RFC 6749 wants it."""

SCOPE, AUDIENCE, ISSUER = "kommunebro.log", "kafka", "https://login.example.dk"


@dataclass
class TokenServer:
    """url: asked by clients, over TLS. jwks_url: asked by brokers. The rest may be changed while it runs."""

    url: str = ""
    jwks_url: str = ""
    lifetime_s: int = 3600
    audience: str = AUDIENCE
    fails_with: int | None = None
    given: int = 0
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"}))

    def answer(self, login: str, form: dict[str, list[str]]) -> tuple[int, object]:
        """Return the status and the body for a request for a token."""
        if self.fails_with is not None:
            return self.fails_with, {}
        client, _, secret = base64.b64decode(login.removeprefix("Basic ")).decode().partition(":")
        if (unquote_plus(client), unquote_plus(secret)) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        if form != {"grant_type": ["client_credentials"], "scope": [SCOPE]}:
            return 400, {"error": "invalid_scope"}
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": self.audience, "sub": CLIENT, "scope": SCOPE, "iat": now}
        claims |= {"exp": now + self.lifetime_s}
        self.given += 1
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime_s}


@contextmanager
def token_server(certificate: Path) -> Iterator[TokenServer]:
    """Run it on two free ports while the block runs. certificate: PEM with its key."""
    server = TokenServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(200, {"keys": [server.key.as_dict(private=False)]})

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._say(*server.answer(self.headers["Authorization"], form))

        def _say(self, status: int, body: object) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ExitStack() as stack:
        servers = [stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) for _ in range(2)]
        tokens, keys = servers
        tokens.socket = context.wrap_socket(tokens.socket, server_side=True)
        server.url = f"https://127.0.0.1:{tokens.server_port}/token"
        server.jwks_url = f"http://127.0.0.1:{keys.server_port}/jwks"
        for one in servers:
            threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            stack.callback(one.shutdown)
        yield server
