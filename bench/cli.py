"""`kommunebro bench`: the figures, measured."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from bench import arriving, forwarding, latency, memory, publishing, pulling, replaying, tracing
from bench import ground as place
from bench.figures import Row, machine, show
from bench.ground import Ground
from bench.load import Plan
from bench.processes import ServerFailed
from bench.tally import CountsWrong
from broker_adapters.local_kafka import LocalKafkaError
from broker_adapters.local_kafka_jars import KafkaNotFetched

app = typer.Typer(help="Measure, beside bare comparators; minutes each.", no_args_is_help=True)

QUICK_PLAN = Plan(seconds=0.7, warmup_s=0.3)
BAD_INPUT, UNAVAILABLE = 1, 3

RoundsOption = Annotated[int, typer.Option(min=1, help="How often each contender takes its turn.")]
SecondsOption = Annotated[float, typer.Option(min=0.1, help="How long a turn of publishing lasts.")]
ConnectionsOption = Annotated[int, typer.Option(min=1, help="Connections that publish at once.")]
KafkaOption = Annotated[
    str | None,
    typer.Option("--kafka", metavar="HOST:PORT,…", help="A Kafka; left out: a local one.", show_default=False),
]
WorkOption = Annotated[
    Path | None, typer.Option(help="Keep data and output here; left out: a folder that is removed.", show_default=False)
]
RecordsOption = Annotated[
    int | None, typer.Option(min=1, help="How many fill the log; left out: each figure's own.", show_default=False)
]
QuickOption = Annotated[bool, typer.Option("--quick", help="Seconds instead of minutes; the figures mean nothing.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

BENCHMARKS: dict[str, tuple[str, Callable[[Ground], list[Row]]]] = {
    "publish": ("One event a request, on Kafka beside the bare app, and embedded.", publishing.publish),
    "batch": ("NDJSON of 100 events, on Kafka beside the bare app, and embedded.", publishing.batch),
    "forward": ("Forwarding exactly once, beside a bare transaction loop.", forwarding.forward),
    "replay": ("A million records as NDJSON over HTTP, beside bare getmany.", replaying.replay),
    "latency": ("From publishing to visible among a partner's job orders.", latency.latency),
    "stream": ("From publishing to arrival on a partner's stream.", arriving.stream),
    "open": ("500 streams and 500 long polls on one gateway, and its memory.", arriving.open_doors),
    "pull": ("Pulling a thousand events at a time, beside a bare reader.", pulling.pull),
    "catch-up": ("A subscriber who was away for a day.", pulling.catch_up),
    "trace": ("Tracing one of a million events, and a thing.", tracing.trace),
    "memory": ("The gateway's memory after a million events.", memory.memory),
}


class Chosen(NamedTuple):
    """What the options choose of a `Ground`."""

    rounds: int
    plan: Plan
    quick: bool
    records: int | None


@contextmanager
def _failing_well() -> Iterator[None]:
    """Give one message and the right exit status for what can go wrong."""
    try:
        yield
    except CountsWrong as error:
        _end(BAD_INPUT, error)
    except (ServerFailed, LocalKafkaError, KafkaNotFetched, ConnectionError, TimeoutError) as error:
        _end(UNAVAILABLE, error)


def _end(status: int, error: Exception) -> None:
    print(f"kommunebro bench: {error or type(error).__name__}", file=sys.stderr)
    raise typer.Exit(status)


@contextmanager
def _work_folder(work: Path | None) -> Iterator[Path]:
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        yield work
        return
    with tempfile.TemporaryDirectory(prefix="kommunebro-bench-") as folder:
        yield Path(folder)


def measure(name: str, ground: Ground) -> list[Row]:
    """Run one benchmark. Raises `CountsWrong`, `ServerFailed`."""
    return BENCHMARKS[name][1](ground)


def _run(names: list[str], work: Path | None, kafka: str | None, chosen: Chosen, as_json: bool) -> None:
    found: dict[str, list[Row]] = {}
    with _failing_well(), _work_folder(work) as folder, place.kafka(folder, kafka) as bootstrap:
        for name in names:
            part = folder / name
            part.mkdir(exist_ok=True)
            prefix = f"bench-{place.new_run()}."
            found[name] = measure(name, Ground(part, bootstrap, prefix, *chosen))
            if not as_json:
                show(f"kommunebro bench {name}", found[name])
    if as_json:
        typer.echo(json.dumps(_as_json(found), indent=2))


def _as_json(found: dict[str, list[Row]]) -> dict[str, Any]:
    return {"machine": machine(), "figures": {name: [row.as_json() for row in rows] for name, rows in found.items()}}


def _register(names: list[str], command: str, text: str) -> None:
    def run(
        rounds: RoundsOption = 5,
        seconds: SecondsOption = 8.0,
        connections: ConnectionsOption = 32,
        kafka: KafkaOption = None,
        work: WorkOption = None,
        records: RecordsOption = None,
        quick: QuickOption = False,
        as_json: JsonOption = False,
    ) -> None:
        plan = QUICK_PLAN if quick else Plan(seconds, connections=connections)
        _run(names, work, kafka, Chosen(1 if quick else rounds, plan, quick, records), as_json)

    app.command(command, help=f"{text}\n\nExample: kommunebro bench {command} --rounds 3")(run)


for _name, (_text, _) in BENCHMARKS.items():
    _register([_name], _name, _text)
_register(list(BENCHMARKS), "all", "All of them, one after another.")
