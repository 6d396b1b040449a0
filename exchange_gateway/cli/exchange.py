"""Verbs that exchange events and follow them: `publish`, `validate`, `replay`, `trace`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from exchange_gateway.cli.options import DEFAULT_GATEWAY, DataOption, JsonOption, TokenOption, ToOption
from exchange_gateway.cli.outcome import Exit, Failed
from exchange_gateway.core.access import Role

FilesArgument = Annotated[list[Path], typer.Argument(metavar="FILE…", help=".xlsx, .csv, .json or .ndjson")]
BoundsOption = Annotated[
    str | None,
    typer.Option("--bounds", metavar="FILE|JSON", help="The same bytes as a replay before.", show_default=False),
]
WriteBoundsOption = Annotated[
    Path | None,
    typer.Option("--write-bounds", metavar="FILE", help="Keep where it begins and ends.", show_default=False),
]
Filter = Annotated[str | None, typer.Option(show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (publish, validate, replay, trace):
        app.command()(verb)


def publish(
    files: FilesArgument,
    to: ToOption = DEFAULT_GATEWAY,
    token: TokenOption = None,
    data: DataOption = None,
    participant: Annotated[
        str | None, typer.Option(help="Whom a token made from --data speaks for.", show_default=False)
    ] = None,
    system: Annotated[str, typer.Option(help="The system's name in the events' source.")] = "regneark",
    state: Annotated[Path | None, typer.Option(help="Where what was sent is remembered.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Publish what is new or changed in FILE; a second run publishes nothing twice.

    Example: kommunebro publish examples/sheets/jobordrer.xlsx --data kommunebro-data --participant 0671
    """
    from exchange_gateway.cli import remote  # noqa: PLC0415
    from municipality_connectors.command import publish_command  # noqa: PLC0415

    bearer = remote.bearer(token, data, participant, [Role.PUBLISHER])
    raise typer.Exit(publish_command(files, url=to, token=bearer, system=system, state_folder=state, as_json=as_json))


def validate(
    files: FilesArgument,
    participant: Annotated[str, typer.Option(help="Whose sheet it is.")] = "0671",
    as_json: JsonOption = False,
) -> None:
    """Say what `publish` would refuse and why; needs no gateway.

    Example: kommunebro validate examples/sheets/jobordrer.xlsx
    """
    from municipality_connectors.command import validate_command  # noqa: PLC0415

    raise typer.Exit(validate_command(files, participant=participant, as_json=as_json))


def replay(
    topic: Annotated[
        str | None,
        typer.Option(metavar="GLOB", help="Which topics; left out: pub.* and alliance.*", show_default=False),
    ] = None,
    begin: Annotated[str | None, typer.Option("--from", metavar="TIME|OFFSET", show_default=False)] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", metavar="TIME|OFFSET|URL", help="Where to end; an address names the gateway.", show_default=False
        ),
    ] = None,
    participant: Filter = None,
    type_: Annotated[str | None, typer.Option("--type", show_default=False)] = None,
    subject: Filter = None,
    cvr: Filter = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="TIME", show_default=False)] = None,
    check_forwarding: Annotated[
        bool,
        typer.Option("--check-forwarding", help="Decide what was forwarded once more, and print what differs."),
    ] = False,
    bounds: BoundsOption = None,
    write_bounds: WriteBoundsOption = None,
    output: Annotated[
        Path | None, typer.Option("-o", help="A file; left out: standard output.", show_default=False)
    ] = None,
    token: TokenOption = None,
    data: DataOption = None,
) -> None:
    """Print the log as it was recorded, one record a line.

    From a running gateway; with --data and no address, from a stopped instance's folder.

    At its end it says how to have the same bytes again: with the offsets that it began and ended at.

    Example: kommunebro replay --topic 'alliance.vestalliancen.*' --data kommunebro-data

    Example: kommunebro replay --as-of 2026-11-23T00:00:00+01:00 --write-bounds day.json -o day.ndjson
    """
    from exchange_gateway.cli import replaying  # noqa: PLC0415

    url, end = _split_to(to or [])
    given = {
        "topic": topic, "from": begin, "to": end, "participant": participant, "type": type_,
        "subject": subject, "cvr": cvr, "as-of": as_of,
    }  # fmt: skip
    filters = {name: value for name, value in given.items() if value is not None}
    if check_forwarding and (filters or bounds is not None or write_bounds is not None):
        raise Failed(Exit.USAGE, "--check-forwarding goes through everything; leave the filters out.")
    if bounds is not None and filters:
        raise Failed(Exit.USAGE, "--bounds says already what is replayed; leave the filters out.")
    place = replaying.Place(url, token, data)
    with _opened(output) as out:
        if check_forwarding:
            replaying.check(out, place)
        else:
            replaying.replay(filters, out, place, bounds=bounds, write=write_bounds)


def trace(
    event_id: Annotated[
        str | None, typer.Argument(metavar="EVENT_ID", help="The event's id.", show_default=False)
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Its source, where several have the id: urn:kommunebro:0671:opera.", show_default=False),
    ] = None,
    thing: Annotated[
        str | None,
        typer.Option(
            "--thing", metavar="OWNER/TYPE/SUBJECT", help="Instead of an event: all of a thing's.", show_default=False
        ),
    ] = None,
    participant: Annotated[
        str | None, typer.Option(help="Also what became of it for this participant.", show_default=False)
    ] = None,
    to: ToOption = DEFAULT_GATEWAY,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell where an event went and why, and why not elsewhere.

    Example: kommunebro trace e-1001 --data kommunebro-data

    Example: kommunebro trace --thing 0671/job-order/JO-1001 --participant 0657 --data kommunebro-data
    """
    from exchange_gateway.cli import tracing  # noqa: PLC0415

    if (event_id is None) == (thing is None) or (thing is not None and source is not None):
        raise Failed(Exit.USAGE, "Give EVENT_ID (and --source), or --thing OWNER/TYPE/SUBJECT.")
    given = {"source": source, "id": event_id, "participant": participant}
    asked = {name: value for name, value in given.items() if value is not None}
    asked |= {} if thing is None else tracing.thing_of(thing)
    tracing.trace(asked, url=to, token=token, data=data, as_json=as_json)


def _split_to(values: list[str]) -> tuple[str | None, str | None]:
    """Tell the gateway's address from the place where the replay ends: both are called --to."""
    urls = [value for value in values if value.startswith(("http://", "https://"))]
    ends = [value for value in values if value not in urls]
    if len(urls) > 1 or len(ends) > 1:
        raise Failed(Exit.USAGE, "--to can name one gateway and one end, each once.")
    return next(iter(urls), None), next(iter(ends), None)


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with output.open("wb") as file:
            yield file
    except OSError as error:
        raise Failed(Exit.UNAVAILABLE, f"{output} cannot be written: {error.strerror}.") from None
