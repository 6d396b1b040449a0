"""`kommunebro doctor`: says how it is, and what to do."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from exchange_gateway.cli.options import (
    ConfigOption,
    DataOption,
    JsonOption,
    KafkaOption,
    KeysOption,
    gateway_from_environment,
    settings_from,
)
from exchange_gateway.cli.outcome import Exit, Failed

if TYPE_CHECKING:
    from exchange_gateway.doctor import Examination

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(doctor)


def doctor(
    data: DataOption = None,
    kafka: KafkaOption = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.", show_default="8080")] = None,
    keys: KeysOption = None,
    config: ConfigOption = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="URL", help="A gateway; left out: one that uses --data.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check settings, data folder, keys, disk, clock, Kafka and the gateway, and say what to do. Changes nothing.

    Example: kommunebro doctor --data /var/lib/kommunebro
    """
    from exchange_gateway.doctor import Examination, examine  # noqa: PLC0415

    flags = {"data": data, "kafka_bootstrap": kafka, "host": host, "port": port, "keys": keys}
    try:
        settings = settings_from(config, **flags)
    except Failed as error:
        seen = Examination()
        seen.fail("settings", str(error), "Mend it; docs/operations.md has every setting. Nothing else was looked at.")
    else:
        seen = examine(settings, to or gateway_from_environment())
    if as_json:
        typer.echo(json.dumps(seen.as_json(), ensure_ascii=False, indent=2))
    else:
        _print(seen)
    raise typer.Exit(Exit(seen.exit_status))


def _print(seen: "Examination") -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table("", "check", "found", "what to do", box=None, pad_edge=False)
    for one in seen.findings:
        # As text: what was found may have brackets in it, which would else be taken for markup.
        table.add_row(Text(one.state.value, _STYLES[one.state]), one.check, Text(one.found), Text(one.advice))
    Console().print(table)
