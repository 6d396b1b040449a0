"""`kommunebro publish` and `validate`, as functions: files in, a report out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from kommunebro import BadAddress, Client, ClientError, GatewayUnavailable, NotAllowed, Result, TokenRefused
from kommunebro.core.publishing import CHUNK_EVENTS
from municipality_connectors.checking import explained, faults_of, problem_in_danish, violations_of
from municipality_connectors.events_file import ReadEvent, read_events
from municipality_connectors.memory import Memory, MemoryUnusable
from municipality_connectors.reading import ReadFile, ReadRow, SheetReader, now_us
from municipality_connectors.report import USAGE, Failure, Notice, Phase, Progress, PublishReport, Refusal
from municipality_connectors.sending import RowSender, Sent
from municipality_connectors.sheet_file import SheetError
from schemas.event import Event, InvalidEvent
from schemas.identifiers import Source
from schemas.registry import Registry

EVENT_ENDINGS = (".json", ".ndjson", ".jsonl")
OnProgress = Callable[[Progress], None]
Seen = dict[tuple[str, str], tuple[str, bytes]]


def no_progress(_: Progress) -> None:
    """Show nothing."""


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
    try:
        gateway = client.instance() or client.url
        with Memory(state_folder, gateway=gateway, source=source) as memory:
            # What the gateway's own setting decides (the CVR numbers' check digit) is left to the gateway.
            registry = registry or Registry.load("warn")
            _Publishing(report, client, memory, source, on_progress, clock_us, registry).run(paths)
    except MemoryUnusable as error:
        report.failure = Failure("memory-unusable", str(error))
    except ClientError as error:
        report.failure = _failure(error, client.url)
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
    reader = SheetReader(registry, participant, fill=False, now_us=clock_us, on_row=_on_row(on_progress))
    for path, read in _each(paths, reader, report):
        if read is None:
            _take_events(
                _checked(_read(path, report), registry, path, report, publishing=False), report, path, on_progress
            )
        else:
            report.valid += len(read.good)
    return report


def _on_row(on_progress: OnProgress) -> Callable[[str, int], None]:
    return lambda file, rows: on_progress(Progress(Phase.READING, file, rows, None))


def _each(paths: Sequence[Path], reader: SheetReader, report: PublishReport) -> Iterator[tuple[Path, ReadFile | None]]:
    """Yield each file with what was read of it; None for a file of whole events."""
    seen: Seen = {}
    for path in dict.fromkeys(paths):
        ending = path.suffix.lower()
        if ending in EVENT_ENDINGS:
            yield path, None
            continue
        read = reader.read(path)
        report.rows += read.rows
        report.filled += read.filled
        report.notices += read.notices
        report.refusals += read.refusals
        read.good = [row for row in read.good if _is_first(row, path, seen, report)]
        yield path, read


def _is_first(row: ReadRow, path: Path, seen: Seen, report: PublishReport) -> bool:
    """Pass a thing's first row in a run on; refuse one that says something else in a later file.

    The two would replace each other at every run. The same row in another file says nothing new.
    """
    other, content = seen.setdefault((row.sheet.name, row.subject), (str(path), row.content))
    if other == str(path):
        return True
    if content == row.content:
        report.unchanged += 1
        return False
    message = f"Id'et {row.subject} står også i {other}, men med andet indhold. Ret rækken, eller slet den ene."
    title = row.sheet.columns[0].title
    report.refusals.append(
        Refusal(str(path), "duplicate-id", message, row.worksheet, row.number, title, None, row.subject)
    )
    return False


class _Publishing:
    """One run."""

    def __init__(
        self,
        report: PublishReport,
        client: Client,
        memory: Memory,
        source: str,
        on_progress: OnProgress,
        clock_us: Callable[[], int],
        registry: Registry,
    ) -> None:
        self._report, self._client, self._on_progress, self._registry = report, client, on_progress, registry
        self._sender = RowSender(client, memory, source, now_us=clock_us, refuse=self._refuse_row)
        participant = Source.parse(source).participant
        self._reader = SheetReader(registry, participant, fill=True, now_us=clock_us, on_row=_on_row(on_progress))
        self._path = Path()

    def run(self, paths: Sequence[Path]) -> None:
        """Publish the files one after another. Raises `ClientError`."""
        left = self._sender.resend_pending()
        if left.accepted:
            self._report.notices.append(
                Notice("", f"{left.accepted} rækker fra en tidligere, afbrudt kørsel blev sendt nu.")
            )
        self._count(left._replace(duplicates=0))
        for path, read in _each(paths, self._reader, self._report):
            self._path = path
            if read is None:
                self._publish_events(path)
            else:
                self._publish_rows(read.good)

    def _count(self, sent: Sent) -> None:
        self._report.accepted += sent.accepted
        self._report.duplicates += sent.duplicates

    def _publish_rows(self, rows: Sequence[ReadRow]) -> None:
        for name in dict.fromkeys(row.sheet.name for row in rows):
            of_type = [row for row in rows if row.sheet.name == name]
            outgoing = self._sender.changed(of_type)
            self._report.unchanged += len(of_type) - len(outgoing)
            for begin in range(0, len(outgoing), CHUNK_EVENTS):
                self._on_progress(Progress(Phase.SENDING, str(self._path), begin, len(outgoing)))
                self._count(self._sender.send(outgoing[begin : begin + CHUNK_EVENTS]))
            self._on_progress(Progress(Phase.SENDING, str(self._path), len(outgoing), len(outgoing)))

    def _refuse_row(self, row: ReadRow, result: Result) -> None:
        faults = faults_of(row.sheet, result.problem_name, violations_of(result.problem))
        self._report.refusals += [
            Refusal(
                str(self._path), fault.problem, fault.message, row.worksheet, row.number, fault.title, None, row.subject
            )
            for fault in faults
        ]

    def _publish_events(self, path: Path) -> None:
        events = _checked(_read(path, self._report), self._registry, path, self._report, publishing=True)
        done = 0
        while chunk := list(islice(events, CHUNK_EVENTS)):
            results = self._client.send(event.line for event in chunk)
            for event, result in zip(chunk, results, strict=True):
                self._count(Sent(int(result.status == "accepted"), int(result.status == "duplicate")))
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
    except SheetError as error:
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


def _failure(error: ClientError, url: str) -> Failure:
    if isinstance(error, TokenRefused):
        return Failure("unauthorized", f"Gatewayen {url} godtager ikke tokenet ({error}) Bed om et nyt token.")
    if isinstance(error, NotAllowed):
        return Failure(
            "forbidden", f"Tokenet giver ikke lov til at publicere hos {url}. Det skal have rollen publisher. ({error})"
        )
    if isinstance(error, BadAddress):
        return Failure("bad-address", f"»{url}« er ikke en adresse. Skriv fx --to http://127.0.0.1:8080.", USAGE)
    if isinstance(error, GatewayUnavailable):
        return Failure(
            "gateway-unavailable",
            f"Gatewayen {url} svarer ikke. Kører den, og er adressen (--to) rigtig? Det, der er sendt, er gemt; "
            f"kør igen, så bliver resten sendt, og intet bliver sendt to gange. ({error})",
        )
    return Failure("refused", f"Gatewayen {url} afviste forsendelsen. ({error})")
