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


@app.command()
def acls(
    gateway: Annotated[
        list[str], typer.Option(metavar="PRINCIPAL", help="Whom gateways and forwarders log in as: User:gateway.")
    ],
    participant: Annotated[
        list[str],
        typer.Option(
            metavar="PARTICIPANT=PRINCIPAL",
            help="Whose producers log in as whom: 0671=User:struer.",
            show_default=False,
        ),
    ] = [],  # noqa: B006  # typer reads it once
    kafka: Annotated[str, typer.Option("--kafka", metavar="HOST:PORT,…", help="The brokers.")] = "localhost:9092",
    prefix: Annotated[str, typer.Option(help="What kafka.prefix is set to.")] = "",
    command_config: Annotated[
        str | None,
        typer.Option(help="The file with your own login, for kafka-acls.", show_default=False),
    ] = None,
) -> None:
    """Print the commands for kafka-acls that allow gateways, and participants' producers, what they need and no more.

    Example: kommunebro kafka acls --gateway User:gateway --participant 0671=User:struer
    """
    from broker_adapters.kafka.acls import Brokers, commands  # noqa: PLC0415
    from schemas.identifiers import InvalidIdentifier, Participant  # noqa: PLC0415

    pairs = []
    for given in participant:
        name, is_pair, principal = given.partition("=")
        try:
            pairs.append((str(Participant(name)), principal))
        except InvalidIdentifier as error:
            raise Failed(Exit.USAGE, f"--participant {given}: {error}") from None
        if not is_pair:
            raise Failed(Exit.USAGE, f"--participant {given}: name its principal too, as in 0671=User:struer.")
    for principal in (*gateway, *(principal for _, principal in pairs)):
        if not principal.startswith("User:") or principal == "User:":
            raise Failed(Exit.USAGE, f"{principal!r} is no principal: it begins with User:, such as User:CN=gateway.")
    for line in commands(Brokers(kafka, command_config), prefix=prefix, gateways=gateway, participants=pairs):
        typer.echo(line)


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
