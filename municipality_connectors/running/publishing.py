"""`kommunebro publish` and `validate`, as functions: files in, a report out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from kommunebro import Client, ClientError, Result
from kommunebro.core.publishing import CHUNK_EVENTS
from municipality_connectors.events_file import ReadEvent, read_events
from municipality_connectors.mapping.checking import explained, problem_in_danish
from municipality_connectors.report import Failure, Phase, Progress, PublishReport, Refusal
from municipality_connectors.running.reading import now_us
from municipality_connectors.running.run import OnProgress, Run, failure, no_progress
from municipality_connectors.running.taking import Habits
from municipality_connectors.sources.folders import Files
from municipality_connectors.sources.sheet_files import SheetFiles, SheetSettings, own_sheets
from municipality_connectors.state.store import Store, StoreUnusable
from municipality_connectors.tables import SourceError
from schemas.event import Event, InvalidEvent
from schemas.identifiers import Source
from schemas.registry import Registry

EVENT_ENDINGS = (".json", ".ndjson", ".jsonl")
STORE_NAME = "published.sqlite3"


def publish_files(
    paths: Sequence[Path],
    *,
    client: Client,
    participant: str,
    state_folder: Path,
    system: str = "regneark",
    on_progress: OnProgress = no_progress,
    clock_us: Callable[[], int] = now_us,
    registry: Registry | None = None,
) -> PublishReport:
    """Publish what is new or changed in the files, and say what became of each row.

    participant, system: whose sheets they are; whole events (.json, .ndjson) have a source of their own.
    Nothing is raised for bad files or a gateway that is away: the report says it.
    """
    report = PublishReport()
    source = str(Source.parse(f"urn:kommunebro:{participant}:{system}"))
    # What the gateway's own setting decides (the CVR numbers' check digit) is left to the gateway.
    registry = registry or Registry.load("warn")
    try:
        with Store(state_folder / STORE_NAME) as store:
            run = Run(
                store, client, report, source=source, registry=registry, habits=Habits(again=True), clock_us=clock_us,
                on_progress=on_progress,
            )  # fmt: skip
            run.send_left()
            for path in dict.fromkeys(paths):
                if path.suffix.lower() in EVENT_ENDINGS:
                    _EventsPublishing(report, client, on_progress, registry).run(path)
                else:
                    run.read(SheetFiles(_OWN_SHEETS, Files(paths=(path,))), (), each=run.drain)
            run.finish()
    except StoreUnusable as error:
        report.failure = Failure("memory-unusable", str(error))
    return report


def validate_files(
    paths: Sequence[Path],
    *,
    participant: str = "0671",
    on_progress: OnProgress = no_progress,
    clock_us: Callable[[], int] = now_us,
    registry: Registry | None = None,
) -> PublishReport:
    """Say what `publish_files` would refuse, and why; needs no gateway and changes no file."""
    report = PublishReport()
    registry = registry or Registry.load()
    with Store(None) as store:
        run = Run(
            store, None, report, source=f"urn:kommunebro:{participant}:regneark", registry=registry, fill=False,
            habits=Habits(dry=True), clock_us=clock_us, on_progress=on_progress,
        )  # fmt: skip
        for path in dict.fromkeys(paths):
            if path.suffix.lower() in EVENT_ENDINGS:
                events = _checked(_read(path, report), registry, path, report, publishing=False)
                _take_events(events, report, path, on_progress)
            else:
                run.read(SheetFiles(_OWN_SHEETS, Files(paths=(path,))), (), each=lambda: None)
    report.valid += report.new
    return report


_OWN_SHEETS = SheetSettings(own_sheets, b"")


class _EventsPublishing:
    """Publishes files of whole events: they have ids and times of their own, so nothing is remembered of them."""

    def __init__(self, report: PublishReport, client: Client, on_progress: OnProgress, registry: Registry) -> None:
        self._report, self._client, self._on_progress, self._registry = report, client, on_progress, registry

    def run(self, path: Path) -> None:
        """Publish a file, unless the gateway was found to be away."""
        if self._report.failure is None:
            try:
                self._publish(path)
            except ClientError as error:
                self._report.failure = failure(error, self._client.url)

    def _publish(self, path: Path) -> None:
        events = _checked(_read(path, self._report), self._registry, path, self._report, publishing=True)
        done = 0
        while chunk := list(islice(events, CHUNK_EVENTS)):
            results = self._client.send(event.line for event in chunk)
            for event, result in zip(chunk, results, strict=True):
                self._report.accepted += result.status == "accepted"
                self._report.duplicates += result.status == "duplicate"
                if result.refused:
                    self._report.refusals += _event_refusals(path, event, result)
            done += len(chunk)
            self._on_progress(Progress(Phase.SENDING, str(path), done, None))


def _read(path: Path, report: PublishReport) -> Iterator[ReadEvent]:
    """Read a file of events; a file that cannot be read is refused as a whole."""
    count = 0
    try:
        for event in read_events(path):
            count += 1
            yield event
    except SourceError as error:
        report.refusals.append(Refusal(str(path), error.problem, error.message, row=error.row))
    else:
        if count == 0:
            report.refusals.append(Refusal(str(path), "empty-sheet", "Filen er tom: der er ingen hændelser i den."))
    report.rows += count


def _checked(
    events: Iterator[ReadEvent], registry: Registry, path: Path, report: PublishReport, *, publishing: bool
) -> Iterator[ReadEvent]:
    """Pass on the events that the dataset lets through, and refuse the others.

    When publishing, a schema that we don't know passes, too: the gateway may be newer than we are.
    """
    for event in events:
        try:
            if isinstance(event.event, InvalidEvent):
                raise event.event
            registry.check(event.event)
        except InvalidEvent as error:
            if publishing and error.problem == "unknown-schema":
                yield event
            else:
                report.refusals += _invalid_event(path, event, error)
        else:
            yield event


def _take_events(events: Iterable[ReadEvent], report: PublishReport, path: Path, on_progress: OnProgress) -> None:
    for event in events:
        report.valid += 1
        if report.valid % CHUNK_EVENTS == 0:
            on_progress(Progress(Phase.READING, str(path), event.number, None))


def _invalid_event(path: Path, event: ReadEvent, error: InvalidEvent) -> Iterator[Refusal]:
    name = event.event.name if isinstance(event.event, Event) else ""
    told = [(violation.pointer or None, explained(violation, name)) for violation in error.violations]
    for place, message in told or [(None, problem_in_danish(error.problem, error.detail))]:
        yield Refusal(str(path), error.problem, message, None, event.number, place, None, error.event_id)


def _event_refusals(path: Path, event: ReadEvent, result: Result) -> Iterator[Refusal]:
    detail = str(result.problem.get("detail", ""))
    yield Refusal(
        str(path),
        result.problem_name,
        problem_in_danish(result.problem_name, detail),
        row=event.number,
        subject=result.id,
    )
