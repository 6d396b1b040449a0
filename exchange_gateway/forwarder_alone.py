"""A forwarder without a gateway: on Kafka as many run as are wanted. It serves nothing but its metrics."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import uvicorn
from prometheus_client import make_asgi_app
from starlette.types import Receive, Scope, Send

from exchange_gateway.clock import Clock
from exchange_gateway.core.forwarding import shard_of_topic
from exchange_gateway.data_folder import forwarder_folder, make_folder
from exchange_gateway.instance import SHARDS_ON_KAFKA, join_instance
from exchange_gateway.keys import FILE_NAME as KEYS_FILE
from exchange_gateway.keys import load_or_make_keys
from exchange_gateway.main import make_forwarder, make_log, make_tracing
from exchange_gateway.serving import Server, address_of, listen
from exchange_gateway.settings import Settings
from exchange_gateway.supervision import supervise
from exchange_gateway.telemetry import Metrics
from exchange_gateway.workers.lags import Lags, Work
from schemas.identifiers import CONTROL_TOPICS

METRICS_CONNECTIONS_MAX = 20


async def run_forwarder(
    settings: Settings, stopped: asyncio.Event, metrics_port: int | None = None, tell: Callable[[str], None] = print
) -> None:
    """Run a forwarder alone until `stopped`. Raises `LogError`, `KeysUnusable`, `AnotherInstance`, `PortInUse`.

    metrics_port: where its metrics are, None for nowhere; `tell` is told their address.
    """
    clock, metrics = Clock(), Metrics()
    make_folder(settings.data)
    keys, _ = load_or_make_keys(settings.keys or settings.data / KEYS_FILE)
    async with AsyncExitStack() as closing:
        if metrics_port is not None:
            tell(await _serve_metrics(settings.host, metrics_port, metrics, closing))
        tracing = make_tracing(settings, metrics)
        if tracing is not None:
            closing.push_async_callback(asyncio.to_thread, tracing.close)
        folder, lock = forwarder_folder(settings.data)
        closing.callback(lock.release)
        log = make_log(settings, folder)
        closing.push_async_callback(log.close)
        await log.open()
        await log.create_topics(CONTROL_TOPICS)
        instance = await join_instance(log, keys.fingerprint, SHARDS_ON_KAFKA, clock)
        forwarder = make_forwarder(log, instance, clock, metrics, tracing)
        work = Work("forwarder", forwarder.committed, partial(shard_of_topic, shards=instance.shards))
        lags = Lags(log, [work], clock, metrics)
        tasks = [asyncio.create_task(supervise(*one)) for one in (("forwarder", forwarder.run), ("lags", lags.run))]
        await stopped.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _serve_metrics(host: str, port: int, metrics: Metrics, closing: AsyncExitStack) -> str:
    """Serve them until `closing`, and return where."""
    listening = closing.enter_context(listen(host, port, "--metrics-port"))
    answer = make_asgi_app(metrics.registry)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/metrics" and scope["method"] in {"GET", "HEAD"}:
            await answer(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(
        app, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False, proxy_headers=False,
        limit_concurrency=METRICS_CONNECTIONS_MAX, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))

    async def stop() -> None:
        server.stop()
        await asyncio.gather(task, return_exceptions=True)

    closing.push_async_callback(stop)
    return f"{address_of(listening)}/metrics"
