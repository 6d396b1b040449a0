"""`kommunebro schemas`: the shared dataset's schemas, and what a change to one means."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange_gateway.cli.options import JsonOption
from exchange_gateway.cli.outcome import Exit, Failed

app = typer.Typer(help="The schemas of the shared dataset.", no_args_is_help=True)


@app.command("list")
def list_schemas(as_json: JsonOption = False) -> None:
    """List the schemas, the derived views included.

    Example: kommunebro schemas list
    """
    from schemas.registry import Registry  # noqa: PLC0415

    rows = [{"name": name, "version": version} for name, version in Registry.load().list()]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo(f"{row['name']:<32}{row['version']}")


@app.command()
def show(name: str, version: Annotated[str, typer.Argument()] = "1.0") -> None:
    """Print one schema.

    Example: kommunebro schemas show job-order 1.0
    """
    from schemas.registry import Registry, UnknownSchema  # noqa: PLC0415

    try:
        schema = Registry.load().schema(name, version)
    except UnknownSchema as error:
        raise Failed(Exit.BAD_INPUT, f"{error} `kommunebro schemas list` shows what there is.") from None
    typer.echo(json.dumps(schema, ensure_ascii=False, indent=2))


@app.command()
def check(
    old: Annotated[Path, typer.Argument(metavar="OLD")],
    new: Annotated[Path, typer.Argument(metavar="NEW")],
    as_json: JsonOption = False,
) -> None:
    """Name each change from OLD to NEW that is incompatible for readers or for writers; exit status 1 if there is one.

    Example: kommunebro schemas check schemas/job-order/1.0.json schemas/job-order/1.1.json
    """
    from schemas.compatibility import compare  # noqa: PLC0415

    changes = compare(_read(old), _read(new))
    if as_json:
        typer.echo(json.dumps([change.as_dict() for change in changes], ensure_ascii=False, indent=2))
    else:
        for change in changes:
            typer.echo(str(change))
        if not changes:
            typer.echo("No change that matters to readers or writers.")
    if any(change.incompatible for change in changes):
        raise typer.Exit(Exit.BAD_INPUT)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise Failed(Exit.BAD_INPUT, f"{file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise Failed(Exit.BAD_INPUT, f"{file} is not JSON: {error}.") from None
