"""Verbs that run something: `serve`, `forward`, `demo`; and `token`."""

import asyncio
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from exchange_gateway.cli.options import ConfigOption, DataOption, KafkaOption, KeysOption, settings_from
from exchange_gateway.cli.outcome import Exit, Failed
from exchange_gateway.core.access import Role

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
TTL_MAX_S = 366 * 86400


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (demo, serve, forward, token):
        app.command()(verb)


def demo(
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8080,
    data: DataOption = None,
) -> None:
    """Show a day in Vestalliancen, on this machine and without any set-up.

    Example: kommunebro demo --port 8080
    """
    from exchange_gateway.demo.run import run_demo  # noqa: PLC0415

    run_demo(port=port, data=data)


def serve(
    data: DataOption = None,
    kafka: KafkaOption = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="The port to listen on; 0 takes a free one.", show_default="8080")
    ] = None,
    no_forwarder: Annotated[bool, typer.Option("--no-forwarder", help="Run no forwarder beside the gateway.")] = False,
    keys: KeysOption = None,
    config: ConfigOption = None,
) -> None:
    """Run a gateway.

    Example: kommunebro serve --data /var/lib/kommunebro --kafka 127.0.0.1:9092
    """
    import uvloop  # noqa: PLC0415

    from exchange_gateway.main import serve as serve_gateway  # noqa: PLC0415
    from exchange_gateway.telemetry import configure_logging  # noqa: PLC0415

    flags = {"data": data, "kafka_bootstrap": kafka, "host": host, "port": port, "keys": keys}
    settings = settings_from(config, **flags, forwarder=False if no_forwarder else None)
    configure_logging(settings.log_level)
    uvloop.run(serve_gateway(settings, _tell_address))


def _tell_metrics(address: str) -> None:
    typer.echo(f"Metrics are at {address}")


async def _tell_address(_gateway: object, address: str) -> None:
    typer.echo(f"Kommunebro listens on {address} (stop it with Ctrl-C)")


def forward(
    kafka: KafkaOption = None,
    data: DataOption = None,
    keys: KeysOption = None,
    config: ConfigOption = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(help="Serve Prometheus metrics on this port; 0 takes a free one.", show_default="no metrics"),
    ] = None,
    host: Annotated[str | None, typer.Option(help="The address for the metrics.", show_default="127.0.0.1")] = None,
) -> None:
    """Run a forwarder alone, beside gateways on Apache Kafka; start as many as wanted.

    Example: kommunebro forward --kafka 127.0.0.1:9092 --keys /etc/kommunebro/instance.keys
    """
    import uvloop  # noqa: PLC0415

    from exchange_gateway.forwarder_alone import run_forwarder  # noqa: PLC0415
    from exchange_gateway.telemetry import configure_logging  # noqa: PLC0415
    from exchange_gateway.tuning import tune  # noqa: PLC0415

    settings = settings_from(config, data=data, kafka_bootstrap=kafka, keys=keys, host=host)
    if settings.kafka_bootstrap is None:
        raise Failed(Exit.USAGE, "A forwarder alone needs --kafka; on the embedded log `serve` forwards by itself.")
    configure_logging(settings.log_level)
    tune()

    async def run() -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await run_forwarder(settings, stopped, metrics_port, _tell_metrics)

    uvloop.run(run())


def token(
    participant: Annotated[str, typer.Option(help="Whom the token speaks for, such as 0671.")],
    role: Annotated[list[Role], typer.Option(help="What it may do; give it more than once for more.")],
    ttl: Annotated[str, typer.Option(help="How long it counts: 30m, 1h, 7d.")] = "1h",
    represents: Annotated[
        list[str] | None, typer.Option(help="Others that the participant acts for.", show_default=False)
    ] = None,
    client: Annotated[
        str | None, typer.Option(help="The client's name in the log; never a person's.", show_default=False)
    ] = None,
    data: DataOption = None,
    keys: KeysOption = None,
    config: ConfigOption = None,
) -> None:
    """Print a bearer token, and nothing else.

    Example: kommunebro token --participant 0671 --role publisher --ttl 1h
    """
    settings = settings_from(config, data=data, keys=keys)
    typer.echo(
        make_token(
            settings.keys or settings.data / "instance.keys",
            participant=participant,
            roles=role,
            represents=represents or (),
            ttl_s=parse_ttl(ttl),
            client=client,
            audience=settings.tokens.audience,
            external_issuer=settings.tokens.issuer,
        )
    )


def make_token(
    keys: Path,
    *,
    participant: str,
    roles: list[Role],
    represents: list[str] | tuple[str, ...] = (),
    ttl_s: int = 3600,
    client: str | None = None,
    audience: str = "kommunebro",
    external_issuer: str | None = None,
) -> str:
    """Return a token signed with the instance's key. Raises `Failed`, `KeysUnusable`, `InvalidIdentifier`."""
    from exchange_gateway.keys import load_keys  # noqa: PLC0415
    from exchange_gateway.tokens import sign_token  # noqa: PLC0415

    if external_issuer is not None:
        raise Failed(Exit.USAGE, f"Tokens come from {external_issuer}; this instance signs none of its own.")
    return sign_token(
        load_keys(keys).signing,
        participant=participant, roles=roles, represents=represents, ttl_s=ttl_s, client=client,
        audience=audience, now_s=int(time.time()),
    )  # fmt: skip


def parse_ttl(text: str) -> int:
    """Return the seconds of a text such as 90s, 30m, 1h or 7d. Raises `Failed`."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and unit in _UNITS and 0 < int(number) * _UNITS[unit] <= TTL_MAX_S):
        most = timedelta(seconds=TTL_MAX_S).days
        raise Failed(Exit.USAGE, f"--ttl {text!r} is not a time such as 90s, 30m, 1h or 7d, of at most {most} days.")
    return int(number) * _UNITS[unit]
