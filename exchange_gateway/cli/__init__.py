"""The command `kommunebro`. Each verb is a few lines over a function that has a name elsewhere."""

import sys

import typer

from exchange_gateway.cli import agreements, connecting, doctor, exchange, kafka, running, schema
from exchange_gateway.cli.outcome import failing_well

app = typer.Typer(
    name="kommunebro",
    help="Exchange job orders, company contacts and visits between municipalities.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

running.register(app)
exchange.register(app)
doctor.register(app)
app.add_typer(agreements.app, name="alliances")
app.add_typer(schema.app, name="schemas")
app.add_typer(connecting.app, name="connect")
app.add_typer(kafka.app, name="kafka")


def _add_benchmarks() -> None:
    """Add `bench` where its code is: an installation may leave it out."""
    from importlib.util import find_spec  # noqa: PLC0415

    if find_spec("bench") is not None and find_spec("bench.cli") is not None:
        from bench.cli import app as bench_app  # noqa: PLC0415

        app.add_typer(bench_app, name="bench")


def main() -> None:
    """Run the command line; the exit status is 0, 1, 2 or 3, as `docs/operations.md` says."""
    if "bench" in sys.argv[1:2] or "--help" in sys.argv[1:2]:
        _add_benchmarks()
    with failing_well():
        app()
