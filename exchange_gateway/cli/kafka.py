"""`kommunebro kafka`: a local Apache Kafka for development and tests."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange_gateway.cli.options import JsonOption
from exchange_gateway.cli.outcome import Exit, Failed

app = typer.Typer(help="A local Apache Kafka for development and tests.", no_args_is_help=True)
DEFAULT_DATA = Path("kommunebro-kafka")
DataOption = Annotated[Path, typer.Option("--data", help="The brokers' folder; each folder is a cluster of its own.")]


@app.command()
def up(
    brokers: Annotated[int, typer.Option(help="1 or 3.")] = 1,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Start the brokers and return when they answer; fetches Kafka at first use.

    Example: kommunebro kafka up --brokers 1
    """
    if brokers not in (1, 3):
        raise Failed(Exit.USAGE, "--brokers is 1 or 3.")
    _run("up", as_json, data, brokers)


@app.command()
def down(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Stop the brokers; what they hold is kept.

    Example: kommunebro kafka down
    """
    _run("down", as_json, data)


@app.command()
def status(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Say whether the brokers run, and where.

    Example: kommunebro kafka status --json
    """
    _run("status", as_json, data)


def _run(verb: str, as_json: bool, *arguments: Any) -> None:
    from broker_adapters import local_kafka  # noqa: PLC0415
    from broker_adapters.local_kafka_jars import KafkaNotFetched  # noqa: PLC0415

    try:
        result = getattr(local_kafka, verb)(*arguments)
    except (local_kafka.LocalKafkaError, KafkaNotFetched) as error:
        raise Failed(Exit.UNAVAILABLE, str(error)) from None
    if as_json:
        typer.echo(json.dumps(result.as_json()))
        return
    typer.echo(f"{'running' if result.running else 'stopped'}  {result.bootstrap}  ({result.data})")
    for broker in result.brokers:
        state = f"process {broker.pid}" if broker.pid is not None else broker.problem or "stopped"
        typer.echo(f"  broker {broker.id}  port {broker.port}  {state}")
