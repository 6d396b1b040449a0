"""The verb `connect`: a municipality's connector, described in a file."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from exchange_gateway.cli.options import AskedToOption, DataOption, JsonOption, TokenOption
from exchange_gateway.core.access import Role

if TYPE_CHECKING:
    from municipality_connectors.connector_file.loading import Connector

RUN = "run"
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="URL", help="The gateway, instead of the file's.", show_default=False)
]
FileArgument = Annotated[Path, typer.Argument(metavar="CONNECTOR.toml", help="The connector file.")]


class _RunByDefault(TyperGroup):
    """Takes `connect FILE …` for `connect run FILE …`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Look the command up; what is none is a file."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = [RUN, *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_RunByDefault,
    help=(
        "Connect a municipality's system: what is new or changed in it is published.\n\n"
        "\b\n"
        "kommunebro connect ordrer.toml --dry-run   show what would be published, and what refused\n"
        "kommunebro connect ordrer.toml --once      publish what is new, once\n"
        "kommunebro connect ordrer.toml             again and again, as a service\n"
        "kommunebro connect ordrer.toml --help      all that can be asked for when it runs"
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command(RUN, hidden=True)
def run(
    file: FileArgument,
    once: Annotated[bool, typer.Option("--once", help="Run once, instead of again and again.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be published and what refused; nothing is sent.")
    ] = False,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take back all that is gone from the source, however much it is.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Read everything anew, and try again what the gateway refused.")
    ] = False,
    to: ToOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish what is new or changed in a system, again and again.

    Example: kommunebro connect ordrer.toml --dry-run

    Example: kommunebro connect ordrer.toml --once --data kommunebro-data
    """
    from municipality_connectors import connect_command  # noqa: PLC0415

    if dry_run:
        raise typer.Exit(connect_command.dry_run(file, to=to, as_json=as_json))
    bearer = _bearer(token, data)
    if once or withdraw or again:
        raise typer.Exit(connect_command.once(file, bearer, to=to, withdraw=withdraw, again=again, as_json=as_json))
    raise typer.Exit(connect_command.service(file, bearer, to=to))


@app.command()
def new(
    file: Annotated[Path, typer.Argument(metavar="CONNECTOR.toml", help="The connector file to write.")],
    source: Annotated[
        str | None,
        typer.Option("--source", help="A file, a pattern such as eksport/*.csv, or a database.", show_default=False),
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", help="The table or worksheet, where there are several.", show_default=False)
    ] = None,
    type_: Annotated[
        str | None, typer.Option("--type", help="What its rows are, such as job-order.", show_default=False)
    ] = None,
    participant: Annotated[str | None, typer.Option(help="Who you are, such as 0671.", show_default=False)] = None,
    system: Annotated[str | None, typer.Option(help="What the system is called.", show_default=False)] = None,
    password_file: Annotated[
        str | None, typer.Option("--password-file", help="A file with the database's password.", show_default=False)
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="A system by its profile; see `connect profiles`.", show_default=False),
    ] = None,
    to: AskedToOption = None,
) -> None:
    """Write a connector file from the source itself, and ask for what it does not say.

    It proposes a mapping and shows three rows as they would be published.

    Example: kommunebro connect new ordrer.toml --source ordrer.xlsx
    """
    from municipality_connectors.new.making import Given, new_connector, prompt  # noqa: PLC0415

    given = Given(source, participant, system, to, table, type_, password_file, profile)
    raise typer.Exit(new_connector(file, given, prompt))


@app.command()
def profiles(name: Annotated[str | None, typer.Argument(help="One of them.", show_default=False)] = None) -> None:
    """List the systems of which something is publicly known, or show what; each is to be confirmed with its vendor.

    Example: kommunebro connect profiles dfdg
    """
    from municipality_connectors import connect_command  # noqa: PLC0415

    raise typer.Exit(connect_command.show_profiles(name))


@app.command()
def refused(file: FileArgument, to: ToOption = None, as_json: JsonOption = False) -> None:
    """List what the gateway refused, and why.

    Example: kommunebro connect refused ordrer.toml
    """
    from municipality_connectors import connect_command  # noqa: PLC0415

    raise typer.Exit(connect_command.refused(file, to=to, as_json=as_json))


@app.command("send-again")
def send_again(
    file: FileArgument,
    mended: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="What `refused --json` printed, mended; left out: as it was.",
            show_default=False,
        ),
    ] = None,
    to: ToOption = None,
) -> None:  # fmt: skip
    """Put what the gateway refused at the end of what waits; the next run sends it.

    Example: kommunebro connect send-again ordrer.toml --from afvist.json
    """
    from municipality_connectors import connect_command  # noqa: PLC0415

    raise typer.Exit(connect_command.send_again(file, mended, to=to))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a connector file, by which editors complete and check it.

    Example: kommunebro connect schema > connector.schema.json
    """
    from municipality_connectors import connect_command  # noqa: PLC0415

    connect_command.print_schema()


def _bearer(token: str | None, data: Path | None) -> "Callable[[Connector], str]":
    """Return how a connector gets its token: the one given, its file's own, or one made from the data folder."""
    from exchange_gateway.cli import remote  # noqa: PLC0415
    from exchange_gateway.cli.outcome import Exit, Failed  # noqa: PLC0415

    def bearer(connector: Any) -> str:
        given = token if token is not None else connector.token
        if given is None and data is None:
            raise Failed(
                Exit.USAGE,
                'Forbindelsen har intet token. Læg det i en fil, og skriv token-file = "token" under [gateway], eller '
                "angiv --token (eller KOMMUNEBRO_TOKEN). På gatewayens egen maskine: --data med dens mappe.",
            )
        return remote.bearer(given, data, connector.participant, [Role.PUBLISHER, Role.READER])

    return bearer
