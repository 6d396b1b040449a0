"""One run over one source: what waits goes first, then each portion is taken in, and what is new is sent."""

import sqlite3
from collections.abc import Callable, Sequence

from kommunebro import BadAddress, Client, ClientError, GatewayUnavailable, NotAllowed, Problem, Result, TokenRefused
from municipality_connectors.mapping.checking import faults_of, violations_of
from municipality_connectors.mapping.plan import Plan
from municipality_connectors.mapping.sheet_types import sheet_type
from municipality_connectors.report import USAGE, Failure, Notice, Phase, Progress, PublishReport, Refusal
from municipality_connectors.running.draining import ANOTHER_SOURCE, PACE_EVENTS_S, AnotherParticipant, Draining
from municipality_connectors.running.reading import RowReader, now_us
from municipality_connectors.running.taking import USUAL, Habits, Taking
from municipality_connectors.sources.portion import Portion, Source
from municipality_connectors.state.outbox import Outbox, State
from municipality_connectors.state.store import Store, book_of
from municipality_connectors.tables import SourceError, unexpected
from schemas.identifiers import EventName
from schemas.identifiers import Source as SourceName
from schemas.registry import Registry

_ANOTHER = (
    "Tokenet hører til en anden deltager end {0}, som der publiceres for. Intet er sendt; det venter. Brug et token "
    "til {0}, eller ret deltageren, og kør igen."
)

OnProgress = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """Show nothing."""


class Run:
    """A run. A gateway that is away stops nothing: what is new is kept until it is back.

    client: None to look only. source: the events' `source`. plans: by whose names of columns it is told what was
    refused; ours without them.
    """

    def __init__(
        self,
        store: Store,
        client: Client | None,
        report: PublishReport,
        *,
        source: str,
        url: str = "",
        registry: Registry,
        fill: bool = True,
        habits: Habits = USUAL,
        clock_us: Callable[[], int] = now_us,
        on_progress: OnProgress = no_progress,
        pace_events_s: float = PACE_EVENTS_S,
        plans: Sequence[Plan] = (),
    ) -> None:
        self._client, self._report, self._source, self._on_progress = client, report, source, on_progress
        self._clock_us, self._pace, self._plans = clock_us, pace_events_s, plans
        self._file = ""
        instance = self._instance()
        self._book = book_of(store.database, url=client.url if client else url, source=source, gateway=instance)
        self.outbox = Outbox(store.database, self._book)
        reader = RowReader(registry, SourceName.parse(source).participant, fill, clock_us, self._on_row)
        self._taking = Taking(store, self._book, reader, report, clock_us=clock_us, habits=habits)

    def _instance(self) -> str | None:
        """Return the gateway's name; None while it cannot be had."""
        if self._client is None:
            return None
        try:
            return self._client.instance() or self._client.url
        except ClientError as error:
            self._report.failure = failure(error, self._client.url)
            return None

    @property
    def book(self) -> int:
        """Which of the store's books the run writes in."""
        return self._book

    def send_left(self) -> None:
        """Send what an earlier run left waiting."""
        accepted, duplicates = self._report.accepted, self._report.duplicates
        self.drain()
        # An event that had arrived, though its answer was lost, is no duplicate to its owner.
        left = self._report.accepted - accepted + self._report.duplicates - duplicates
        self._report.duplicates = duplicates
        if left:
            what = "1 række, der ventede" if left == 1 else f"{left} rækker, der ventede"
            self._report.notices.append(Notice("", f"{what}, er sendt nu."))

    def read(self, source: Source, plans: Sequence[Plan], *, each: Callable[[], None]) -> None:
        """Take in what a source has now; `each` is called after each portion."""
        try:
            for portion in source.portions(self._taking.mark_of):
                if isinstance(portion, SourceError):
                    self._taking.refuse(portion.place, portion, portion.part)
                else:
                    self.take(portion, plans)
                    each()
        except SourceError as error:
            self.refuse(error)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001  # what was read of it counts, and the rest is read next time
            self.refuse(unexpected(error))

    def take(self, portion: Portion, plans: Sequence[Plan]) -> None:
        """Take one portion in."""
        self._file = portion.place
        self._taking.take(portion, plans)

    def refuse(self, error: SourceError) -> None:
        """Tell of a source that cannot be had."""
        self._taking.refuse(error.place, error, error.part)

    def take_back(self, plans: Sequence[Plan]) -> None:
        """Take back things whose rows are gone, where the plans ask for it."""
        self._taking.take_back(plans)

    def finish(self) -> None:
        """Say in the report what waits and what is set aside."""
        self._report.waiting, self._report.waiting_since_us = self.outbox.waiting()
        self._report.set_aside = self.outbox.set_aside_count()

    def drain(self) -> None:
        """Send what waits, unless the gateway was found to be away."""
        if self._client is None or self._report.failure is not None:
            return
        total = self.outbox.waiting()[0]
        done = 0

        def on_sent(count: int) -> None:
            nonlocal done
            done += count
            self._on_progress(Progress(Phase.SENDING, self._file, done, max(done, total)))

        if total:
            self._on_progress(Progress(Phase.SENDING, self._file, 0, total))
        draining = Draining(
            self._client, self.outbox, self._source, clock_us=self._clock_us, worded=_worded,
            on_refused=self._refuse, on_sent=on_sent, pace_events_s=self._pace, counted=self._count,
        )  # fmt: skip
        try:
            draining.run()
        except ClientError as error:
            self._report.failure = failure(error, self._client.url)
        except AnotherParticipant:
            self._report.failure = Failure(ANOTHER_SOURCE, _ANOTHER.format(SourceName.parse(self._source).participant))

    def _count(self, accepted: int, duplicates: int) -> None:
        self._report.accepted += accepted
        self._report.duplicates += duplicates

    def _refuse(self, state: State, result: Result) -> None:
        self._report.refused_there += 1
        plan = next((plan for plan in self._plans if plan.sheet.name == state.name), None)
        refusals = refusals_of(state, result)
        if plan is not None:
            refusals = [refusal._replace(column=plan.theirs(refusal.column)) for refusal in refusals]
        self._report.refusals += refusals

    def _on_row(self, file: str, rows: int) -> None:
        self._on_progress(Progress(Phase.READING, file, rows, None))


def refusals_of(state: State, result: Result) -> list[Refusal]:
    """Return what the gateway said of a state, in its owner's words and by its row."""
    place = state.place
    faults = faults_of(sheet_type(EventName(state.name)), result.problem_name, violations_of(result.problem))
    return [
        Refusal(place.place, fault.problem, fault.message, place.part, place.row, fault.title, None, state.subject)
        for fault in faults
    ]


def _worded(state: State, result: Result) -> str:
    return " ".join(refusal.message for refusal in refusals_of(state, result))


_TOKEN_REASONS = (
    ("expired", "det er udløbet"),
    ("not valid yet", "det gælder ikke endnu, eller maskinens ur går forkert"),
    ("is no token", "det er ikke et helt token; se efter, om alt er kopieret med"),
    ("signature", "det er ændret, eller udstedt af en anden gateway"),
    ("issuer", "det er udstedt af en anden"),
    ("audience", "det er udstedt til noget andet"),
)
"""By what the gateway says of a token, the same in Danish."""


_KEPT = "Det, der skal sendes, er gemt; kør igen, så bliver det sendt, og intet bliver sendt to gange."

_JUST_NOW = {
    "log-unavailable": "kan ikke nå sin log lige nu. Det er driften, der skal se på den",
    "insufficient-storage": "har ikke mere plads på sin disk. Det er driften, der skal gøre plads",
    "internal": "har en fejl. Det er driften, der skal se på den",
    "starting": "er ved at starte",
    "too-many-connections": "har ikke flere ledige forbindelser lige nu",
    "rate-limited": "tager ikke flere forespørgsler fra jer lige nu",
}
"""What is the matter with a gateway that answers, and does not do what it is asked just now."""


def _unavailable(problem: Problem | None) -> str:
    if problem is None or not problem.name:
        # Something else than a gateway may answer where it should be.
        told = "" if problem is None else f" (Der svares: {problem.detail})"
        return f"svarer ikke. Kører den, og er adressen rigtig?{told}"
    said = problem.detail.rstrip(".")
    return f"svarer, men {_JUST_NOW.get(problem.name, f'siger »{said}«')}."


def failure(error: ClientError, url: str, *, role: str = "publisher") -> Failure:
    """Return what stopped the sending, or the asking, for people. role: what the token has to have for it."""
    if isinstance(error, TokenRefused):
        detail = error.detail.rstrip(".")
        why = next((danish for words, danish in _TOKEN_REASONS if words in detail), f"den siger »{detail}«")
        return Failure("unauthorized", f"Gatewayen {url} godtager ikke tokenet: {why}. Bed om et nyt token.")
    if isinstance(error, NotAllowed):
        message = f"Tokenet giver ikke lov til det hos {url}. Det skal have rollen {role}. Bed driften om et nyt."
        return Failure("forbidden", message)
    if isinstance(error, BadAddress):
        return Failure("bad-address", f"»{url}« er ikke en adresse. Skriv fx --to http://127.0.0.1:8080.", USAGE)
    if isinstance(error, GatewayUnavailable):
        return Failure("gateway-unavailable", f"Gatewayen {url} {_unavailable(error.problem)} {_KEPT}")
    return Failure("refused", f"Gatewayen {url} afviste forsendelsen. ({error})")
