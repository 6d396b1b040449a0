"""`kommunebro alliances`: see and load agreements."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from exchange_gateway.cli.options import DEFAULT_GATEWAY, DataOption, JsonOption, TokenOption, ToOption
from exchange_gateway.cli.outcome import Exit, Failed
from exchange_gateway.core.access import Role

if TYPE_CHECKING:
    from kommunebro import Client

app = typer.Typer(help="The alliances' agreements.", no_args_is_help=True)
OPERATOR = "operator"
"""The participant of tokens that an operator's command makes from the instance's own key."""

ParticipantOption = Annotated[str, typer.Option(help="Whom a token made from --data speaks for.")]


@app.command("list")
def list_alliances(
    to: ToOption = DEFAULT_GATEWAY, token: TokenOption = None, data: DataOption = None,
    participant: ParticipantOption = OPERATOR, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """List the alliances.

    Example: kommunebro alliances list
    """
    from exchange_gateway.cli import remote  # noqa: PLC0415

    with remote.gateway(to, remote.bearer(token, data, participant, [Role.OPERATOR])) as client:
        alliances = list(client.alliances())
    if as_json:
        typer.echo(json.dumps(alliances, ensure_ascii=False, indent=2))
        return
    _table(
        ("id", "name", "kind", "members", "version"),
        [
            (row["id"], row["name"], row["kind"], str(len(row["members"])), str(row.get("version", "")))
            for row in alliances
        ],
    )


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


@app.command()
def show(
    alliance: Annotated[str, typer.Argument(metavar="ID")],
    to: ToOption = DEFAULT_GATEWAY, token: TokenOption = None, data: DataOption = None,
    participant: ParticipantOption = OPERATOR,
) -> None:  # fmt: skip
    """Print one agreement as it stands.

    Example: kommunebro alliances show vestalliancen
    """
    from exchange_gateway.cli import remote  # noqa: PLC0415

    with remote.gateway(to, remote.bearer(token, data, participant, [Role.OPERATOR])) as client:
        agreement = client.alliance(alliance).body
    typer.echo(json.dumps(agreement, ensure_ascii=False, indent=2))


@app.command()
def load(
    file: Annotated[
        Path | None, typer.Argument(help="A JSON file; left out: the alliances that ship with Kommunebro.")
    ] = None,
    to: ToOption = DEFAULT_GATEWAY, token: TokenOption = None, data: DataOption = None,
    participant: ParticipantOption = OPERATOR, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Make the gateway's agreements those in FILE (one or a list); what is the same already stays.

    Example: kommunebro alliances load
    """
    from exchange_gateway.cli import remote  # noqa: PLC0415

    agreements = _read(file)
    with remote.gateway(to, remote.bearer(token, data, participant, [Role.OPERATOR])) as client:
        done = [(agreement["id"], put(client, agreement)) for agreement in agreements]
    if as_json:
        typer.echo(json.dumps([{"id": alliance, "result": result} for alliance, result in done]))
        return
    for alliance, result in done:
        typer.echo(f"{result:>9}  {alliance}")


def _read(file: Path | None) -> list[dict[str, Any]]:
    from exchange_gateway.agreements import packaged_agreements  # noqa: PLC0415

    if file is None:
        return packaged_agreements()
    try:
        content = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise Failed(Exit.BAD_INPUT, f"{file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise Failed(Exit.BAD_INPUT, f"{file} is not JSON: {error}.") from None
    agreements = content if isinstance(content, list) else [content]
    if not all(isinstance(agreement, dict) and isinstance(agreement.get("id"), str) for agreement in agreements):
        raise Failed(Exit.BAD_INPUT, f"{file} does not hold an agreement with an `id`, or a list of such.")
    return agreements


def put(client: "Client", agreement: dict[str, Any]) -> str:
    """Write one agreement; returns `created`, `changed` or `unchanged`."""
    from kommunebro import NotFound  # noqa: PLC0415

    try:
        before = client.alliance(agreement["id"])
    except NotFound:
        client.put_alliance(agreement)
        return "created"
    after = client.put_alliance(agreement, etag=before.etag)
    return "unchanged" if after.etag == before.etag else "changed"
