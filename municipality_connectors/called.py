"""Listen for a webhook's calls, in a thread of its own."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from municipality_connectors.sources.webhook import Take, Webhook, webhook_app

START_TIMEOUT_S = 20.0
CALLS_MAX = 100
"""Connections at once; one system calls, or a few."""

IDLE_S = 30


@contextmanager
def called(webhook: Webhook, take: Take) -> Iterator[None]:
    """Listen while the block runs; calls under way are answered before it ends.

    Raises `OSError` where it cannot listen.
    """
    config = uvicorn.Config(
        webhook_app(webhook, take), host=webhook.host, port=webhook.port, log_level="error", lifespan="off",
        limit_concurrency=CALLS_MAX, timeout_keep_alive=IDLE_S, server_header=False, access_log=False,
        ssl_certfile=None if webhook.certificate is None else str(webhook.certificate),
        ssl_keyfile=None if webhook.key is None else str(webhook.key),
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="webhook", daemon=True)
    thread.start()
    deadline = time.monotonic() + START_TIMEOUT_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise OSError(f"Der kan ikke lyttes på {webhook.host}:{webhook.port}. Er porten optaget?")
        time.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=START_TIMEOUT_S)
