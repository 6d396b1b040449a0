"""The verb `connect`: what each of its forms does and shows, and the exit status."""

import sys
from collections.abc import Callable
from pathlib import Path

import orjson
from rich.console import Console
from rich.markup import escape

from municipality_connectors import refused_command
from municipality_connectors.connecting import look, run_once
from municipality_connectors.connector_file.json_schema import connector_schema
from municipality_connectors.connector_file.loading import Connector, ConnectorFileWrong, load_connector
from municipality_connectors.new.profiles import all_profiles, profile
from municipality_connectors.presentation import Shown
from municipality_connectors.report import BAD_INPUT, DONE, UNAVAILABLE, USAGE
from municipality_connectors.running.taking import Habits
from municipality_connectors.service import Service
from schemas.registry import Registry

TokenOf = Callable[[Connector], str]


def dry_run(path: Path, *, to: str | None = None, as_json: bool = False) -> int:
    """Show what a run would publish and refuse."""
    connector = _loaded(path, to=to, as_json=as_json)
    if connector is None:
        return BAD_INPUT
    with Shown(as_json=as_json) as shown:
        # As strict as a gateway is unless it was told otherwise: who looks wants to know the worst.
        report = look(connector, registry=Registry.load(), on_progress=shown.progress)
        shown.looked(report)
    return report.exit_status


def once(
    path: Path, token_of: TokenOf, *, to: str | None = None, withdraw: bool, again: bool, as_json: bool = False
) -> int:
    """Run once."""
    connector = _loaded(path, to=to, as_json=as_json)
    if connector is None:
        return BAD_INPUT
    with Shown(as_json=as_json) as shown:
        report = run_once(
            connector, token_of(connector), habits=Habits(withdraw_all=withdraw, again=again),
            registry=Registry.load("warn"), on_progress=shown.progress, sleep=shown.wait,
        )  # fmt: skip
        shown.published(report)
    return report.exit_status


def service(path: Path, token_of: TokenOf, *, to: str | None = None) -> int:
    """Run until told to stop."""
    console = Console(stderr=True)
    try:
        Service(path, token_of, lambda line: console.print(escape(line), highlight=False, soft_wrap=True), to).run()
    except ConnectorFileWrong as error:
        _show_faults(error, as_json=False)
        return BAD_INPUT
    except OSError as error:
        console.print(escape(str(error)))
        return UNAVAILABLE
    return DONE


def refused(path: Path, *, to: str | None = None, as_json: bool = False) -> int:
    """List what the gateway refused."""
    connector = _loaded(path, to=to, as_json=as_json)
    return BAD_INPUT if connector is None else refused_command.refused(connector, as_json=as_json)


def send_again(path: Path, mended: Path | None, *, to: str | None = None) -> int:
    """Put what was refused at the end of what waits."""
    connector = _loaded(path, to=to, as_json=False)
    return BAD_INPUT if connector is None else refused_command.send_again(connector, mended)


def show_profiles(name: str | None) -> int:
    """List the profiles, or show what is known of one."""
    console = Console(highlight=False)
    try:
        shown = all_profiles() if name is None else {name.casefold(): profile(name)}
    except ValueError as error:
        Console(stderr=True).print(escape(str(error)))
        return USAGE
    for key, one in shown.items():
        console.print(escape(f"{key}: {one.title}" if name is None else "\n".join(one.notes())))
    if name is None:
        console.print("Alle skal bekræftes hos leverandøren. Se en: kommunebro connect profiles NAVN")
        return DONE
    for field, names in shown[name.casefold()].names.items():
        console.print(escape(f"{field}: {', '.join(names)}"))
    return DONE


def print_schema() -> None:
    """Print the JSON Schema of a connector file."""
    sys.stdout.buffer.write(orjson.dumps(connector_schema(), option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.flush()


def _loaded(path: Path, *, to: str | None = None, as_json: bool) -> Connector | None:
    try:
        return load_connector(path, to)
    except ConnectorFileWrong as error:
        _show_faults(error, as_json=as_json)
        return None


def _show_faults(error: ConnectorFileWrong, *, as_json: bool) -> None:
    if as_json:
        faults = [{"place": fault.where, "message": fault.message} for fault in error.faults]
        body = {"failure": {"problem": "bad-connector-file", "message": str(error)}, "faults": faults}
        sys.stdout.buffer.write(orjson.dumps(body | {"exitStatus": BAD_INPUT}, option=orjson.OPT_INDENT_2) + b"\n")
        sys.stdout.flush()
        return
    console = Console(stderr=True)
    console.print(f"[bold red]{escape(f'{error.path} kan ikke bruges:')}[/]")
    for fault in error.faults:
        console.print(escape(f"  {fault.where}: {fault.message}" if fault.where else f"  {fault.message}"))
