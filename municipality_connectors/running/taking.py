"""Take portions in: read their rows, see what is new since last time, and keep it in the outbox.

A portion's rows and its mark become durable together, so after a crash it is read again or done with, never half.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import orjson

from municipality_connectors.mapping.changes import Publish, StillRefused, Thing, content_digest, decide
from municipality_connectors.mapping.plan import Plan
from municipality_connectors.mapping.sheet_types import sheet_type
from municipality_connectors.mapping.withdrawing import is_closed, withdrawn
from municipality_connectors.report import Notice, Planned, PublishReport, Refusal
from municipality_connectors.running.reading import RowReader, SeenThing, Told, noticed_at
from municipality_connectors.sources.portion import Done, Portion
from municipality_connectors.state.marks import Marks
from municipality_connectors.state.outbox import Outbox, Place, State
from municipality_connectors.state.staging import Compared, StagedRow, Staging, Twin, Vanished
from municipality_connectors.state.store import Store
from municipality_connectors.tables import SourceError, unexpected
from schemas.identifiers import EventName

STAGED_AT_ONCE = 500
REFUSALS_KEPT_MAX = 1_000
"""Refusals of rows that are told again and again, though they are not read again; of more the newest."""


class Habits(NamedTuple):
    """How a run goes about it.

    dry: nothing is kept, and no mark is set. again: what the gateway refused is tried once more, and nothing is
    dismissed as read already. withdraw_all: a person has said that so many things may be taken back at once.
    """

    dry: bool = False
    again: bool = False
    withdraw_all: bool = False


USUAL = Habits()


class Taking:
    """One run's taking in. It tells the report what it finds; nothing is raised for bad files and rows."""

    def __init__(
        self,
        store: Store,
        book: int,
        reader: RowReader,
        report: PublishReport,
        *,
        clock_us: Callable[[], int],
        habits: Habits = USUAL,
    ) -> None:
        self._store, self._reader, self._report, self._clock_us, self._habits = store, reader, report, clock_us, habits
        self._outbox = Outbox(store.database, book)
        self._marks = Marks(store.database, book)
        self._staging = Staging(store.database, book)
        self._keep_data = self._compares = False
        self._newest: dict[tuple[str, str], tuple[Thing, bytes]] | None = None
        """Of a portion with states that follow one another, what this run took in of each thing, and its data."""
        self._read_keys: list[str] = []
        self._refused_of: dict[str, int] = {}
        self._plans: dict[str, Plan] = {}
        self._left: dict[str, dict[int, str | None]] = {}
        self.seen_all = True
        """Whether every portion was read to its end, and every row's thing is known: else nothing can be said gone."""
        self._all_readable = True
        """Whether what was not seen is only what was empty: a person can say that it is meant to be."""

    def mark_of(self, key: str, *, always: bool = False) -> bytes | None:
        """Return a mark; None for what is to be read anew. always: though a person asked for that."""
        return None if self._habits.again and not always else self._marks.get(key)[0]

    def take(self, portion: Portion, plans: Sequence[Plan]) -> None:
        """Take a portion in; durable on return."""
        self._compares = any(plan.withdraw_vanished for plan in plans)
        self._keep_data = self._compares or any(plan.withdrawn for plan in plans)
        try:
            if not self._dismissed(portion):
                self._read(portion)
        except SourceError as error:
            self.refuse(portion.place, error)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001  # one file that nobody foresaw must not stop all others
            self.refuse(portion.place, unexpected(error))

    def refuse(self, place: str, error: SourceError, part: str | None = None) -> None:
        """Tell of a portion or table that cannot be read."""
        self.seen_all = self._all_readable = False
        self._report.unreadable = self._report.unreadable or error.problem
        self._report.refusals.append(Refusal(place, error.problem, error.message, part, error.row, error.column))

    def _dismissed(self, portion: Portion) -> bool:
        """Say again what was said of a portion that is as it was."""
        if self._habits.again:
            return False
        mark, told = self._marks.get(portion.mark_key)
        if mark is None or (self._compares and not told["compared"]) or not portion.is_as_marked(mark):
            return False
        self._staging.dismiss(portion.place)
        # Several descriptions may read one place: what was refused of it is counted once, whosever rows they are.
        if portion.place not in self._refused_of:
            self._refused_of[portion.place] = self._outbox.set_aside_count(portion.place)
            self._report.still_refused += self._refused_of[portion.place]
        refused = min(self._refused_of[portion.place], told["unchanged"])
        self._refused_of[portion.place] -= refused
        self._report.rows += told["rows"]
        self._report.unchanged += told["unchanged"] - refused
        self._report.refusals += [Refusal(**row) for row in told["refusals"]]
        self.seen_all = self.seen_all and told["complete"]
        self._all_readable = self._all_readable and told["complete"]
        return True

    def _read(self, portion: Portion) -> None:
        told = Told()
        self._staging.begin()
        self._newest = {} if portion.successive else None
        complete = staged = self._stage(portion, told)
        self._report.filled += told.filled
        self._report.rows += told.rows
        self._report.notices += told.notices
        if not portion.successive:
            self._refuse_twins(told)
        if not portion.whole and portion.lasting:
            told.refusals += self._refused_before(portion)
        done = self._done(portion, told)
        self._report.refusals += told.refusals
        complete = complete and not told.blind and not told.cut_off
        self._all_readable = self._all_readable and complete and portion.whole
        # A table that is suddenly empty was more likely cut off than come to its end.
        emptied = portion.whole and not told.rows and self._outbox.has_open_from(portion.place)
        self.seen_all = self.seen_all and complete and portion.whole and (not emptied or self._habits.withdraw_all)
        if self._habits.dry:
            for _ in self._new_states():
                pass
            return
        if portion.successive and not staged:
            # Kept now and read again, an older state would come after a newer one.
            return
        with self._store.transaction():
            for states in self._new_states():
                self._outbox.keep(states, now_us=self._clock_us(), keep_data=self._keep_data)
            # Cells that could not be written may be writable next time, though the file stays as it is.
            locked = any(row.problem == "locked" for row in told.refusals)
            if portion.lasting and not locked and (complete or portion.whole or portion.successive):
                self._marks.set(portion.mark_key, portion.mark(done), {
                    "rows": told.rows, "unchanged": told.wanted - len({row.row for row in told.refusals}),
                    "refusals": [row._asdict() for row in told.refusals], "complete": complete, "compared": False,
                })  # fmt: skip
                self._read_keys.append(portion.mark_key)
        portion.taken(done)

    def _refused_before(self, portion: Portion) -> list[Refusal]:
        """Return what was refused of rows that were not read this time: only those that changed were.

        What nobody reads again is told until a run with `--again`.
        """
        _, told = self._marks.get(portion.mark_key)
        before = [Refusal(**row) for row in told.get("refusals", ())]
        kept = [row for row in before if row.subject is not None and not self._staging.holds(row.subject)]
        if not portion.rereads and not self._habits.again:
            kept += [row for row in before if row.subject is None]
        return kept[-REFUSALS_KEPT_MAX:]

    def _done(self, portion: Portion, told: Told) -> Done:
        """Say which rows were not read, and which of those left before need not be any more."""
        before = self._left.setdefault(portion.place, {})
        superseded = {row for row, subject in before.items() if self._told_later(subject, row)}
        unread = {
            row.row: row.subject for row in told.refusals
            if row.row is not None and row.row not in superseded and not self._told_later(row.subject, row.row)
        }  # fmt: skip
        self._left[portion.place] = {row: subject for row, subject in before.items() if row not in superseded} | unread
        return Done(frozenset(unread), frozenset(superseded))

    def _told_later(self, subject: str | None, row: int) -> bool:
        """Whether a later row tells of the same thing, so that nothing is lost with this one."""
        return subject is not None and self._staging.holds(subject, good_after=row)

    def _stage(self, portion: Portion, told: Told) -> bool:
        """Put a portion's rows aside; False when some of it could not be read."""
        complete = True
        for table in portion.tables():
            if isinstance(table, SourceError):
                told.refusals.append(_of_place(portion.place, table, table.part))
                complete = False
                continue
            plan, rows = table
            self._plans[plan.sheet.name] = plan
            try:
                self._put_aside(self._reader.read(portion.place, plan, rows, told))
            except SourceError as error:
                told.refusals.append(_of_place(portion.place, error, rows.name))
                complete = False
        return complete

    def _put_aside(self, rows: Iterator[StagedRow | SeenThing]) -> None:
        while chunk := list(islice(rows, STAGED_AT_ONCE)):
            self._staging.add(row for row in chunk if isinstance(row, StagedRow))
            for row in chunk:
                if isinstance(row, SeenThing):
                    self._staging.saw(*row)

    def _refuse_twins(self, told: Told) -> None:
        told.refusals += [_twin(twin, self._plans[twin.name]) for twin in self._staging.mark_twins()]
        strangers, same = self._staging.mark_strangers()
        told.refusals += [_stranger(twin, self._plans[twin.name]) for twin in strangers]
        self._report.unchanged += same

    # --- what is new ----------------------------------------------------------------------------

    def _new_states(self) -> Iterator[list[State]]:
        now_us = self._clock_us()
        for page in self._staging.compared():
            yield [state for row in page if (state := self._decided(row, now_us)) is not None]

    def _decided(self, compared: Compared, now_us: int) -> State | None:
        row = compared.row
        newest = None if self._newest is None else self._newest.get((row.name, row.subject))
        known, data = newest or (compared.known, compared.data)
        if not row.data:
            if data is None:
                # Nothing of it was ever published, so there is nothing to take back.
                self._report.unchanged += 1
                return None
            row = _whole(row, data)
        decision = decide(
            known, row.content, now_us=now_us, changed_us=row.changed_us,
            refused=None if self._habits.again else compared.refused, successive=self._newest is not None,
        )  # fmt: skip
        if isinstance(decision, Publish):
            data = row.data
            if row.noticed is not None:
                data = _with(data, row.noticed, noticed_at(compared.noticed_us or now_us))
            thing = Thing(decision.revision, row.content, decision.time_us)
            if self._newest is not None:
                self._newest[row.name, row.subject] = thing, data
            self._plan_to(row.name, row.subject, data, new=known is None, gone=row.gone)
            return State(row.name, row.subject, thing, row.dataschema, data, row.place, gone=row.gone)
        if isinstance(decision, StillRefused):
            self._report.still_refused += 1
            return None
        self._report.unchanged += 1
        if self._habits.dry:
            return None
        if self._keep_data and not compared.has_data:
            self._outbox.keep_data(row.name, row.subject, row.data)
        if compared.known_place not in (None, row.place.place):
            self._outbox.move(row.name, row.subject, row.place.place)
        return None

    def _plan_to(self, name: str, subject: str, data: bytes, *, new: bool, gone: bool) -> None:
        report = self._report
        report.withdrawn += gone
        report.new += new and not gone
        report.changed += not new and not gone
        if len(report.planned) < report.planned_max:
            report.planned.append(Planned("withdrawn" if gone else "new" if new else "changed", name, subject, data))

    # --- what is gone ---------------------------------------------------------------------------

    def take_back(self, plans: Iterable[Plan]) -> None:
        """Take back the things whose rows are gone, where the plans ask for it; durable on return.

        Not when something could not be read, and not more than the plans' share at once, unless a person said so.
        """
        settled = [self._take_back(plan) for plan in plans if plan.withdraw_vanished]
        if all(settled) and not self._habits.dry:
            # Until then a file is read again: what is gone from it was not taken back yet.
            self._marks.set_compared(self._read_keys)

    def _take_back(self, plan: Plan) -> bool:
        """Take back what is gone of one type; False when that has to be looked at again."""
        open_things = [thing for thing in self._staging.vanished(plan.sheet.name) if not _is_closed(thing)]
        if not open_things:
            return self.seen_all
        if not self.seen_all:
            meant = " Er kilden tom med vilje, så kør én gang med --withdraw." if self._all_readable else ""
            self._notice(
                f"{len(open_things)} sager står ikke længere i kilden, men noget af den var tomt eller kunne ikke "
                f"læses. Intet bliver trukket tilbage, før det er rettet.{meant}"
            )
            return False
        # What came to its end by itself is no measure: after some years that is nearly everything.
        known = self._outbox.count_open(plan.sheet.name)
        if len(open_things) > plan.withdraw_share_max * known and not self._habits.withdraw_all:
            self._report.asked = len(open_things)
            self._notice(
                f"{len(open_things)} af {known} sager ({plan.sheet.worksheet}) står ikke længere i kilden. Det er så "
                "mange på én gang, at de ikke bliver trukket tilbage af sig selv. Er det rigtigt, så kør én gang med "
                "--withdraw; er det ikke, så se efter, om kilden er hel."
            )
            return False
        self._keep_taken_back(open_things)
        return True

    def _keep_taken_back(self, things: Sequence[Vanished]) -> None:
        now_us = self._clock_us()
        states = [_taken_back(thing, now_us) for thing in things]
        for state in states:
            self._plan_to(state.name, state.subject, state.data, new=False, gone=True)
        if not self._habits.dry:
            with self._store.transaction():
                self._outbox.keep(states, now_us=now_us, keep_data=True)

    def _notice(self, message: str) -> None:
        self._report.notices.append(Notice("", message))


def _whole(row: StagedRow, data: bytes) -> StagedRow:
    """Return a row that says only that its thing is gone, with what is known of the thing."""
    taken_back = withdrawn(row.name, orjson.loads(data))
    return row._replace(data=orjson.dumps(taken_back), content=content_digest(row.dataschema, taken_back))


def _is_closed(thing: Vanished) -> bool:
    return is_closed(thing.name, orjson.loads(thing.data))


def _taken_back(thing: Vanished, now_us: int) -> State:
    data = withdrawn(thing.name, orjson.loads(thing.data))
    sheet = sheet_type(EventName(thing.name))
    content = content_digest(sheet.dataschema, data)
    decision = decide(thing.thing, content, now_us=now_us)
    assert isinstance(decision, Publish), thing.subject  # noqa: S101  # it was open, so its content differs
    newest = Thing(decision.revision, content, decision.time_us)
    return State(thing.name, thing.subject, newest, sheet.dataschema, orjson.dumps(data), Place(thing.place), gone=True)


def _with(data: bytes, name: str, value: str) -> bytes:
    changed: dict[str, Any] = orjson.loads(data)
    changed[name] = value
    return orjson.dumps(changed)


def _of_place(place: str, error: SourceError, part: str | None) -> Refusal:
    return Refusal(place, error.problem, error.message, part, error.row, error.column)


def _twin(twin: Twin, plan: Plan) -> Refusal:
    message = f"Id'et {twin.subject} står også i række {twin.other.row}. Et id hører til én række: ret det ene"
    gets_its_own = ", eller tøm cellen i den nye række, så den får sit eget id." if plan.fields is None else "."
    return _refused_twin(twin, message + gets_its_own, plan)


def _stranger(twin: Twin, plan: Plan) -> Refusal:
    where = twin.other.place
    message = f"Id'et {twin.subject} står også i {where}, men med andet indhold. Ret rækken, eller slet den ene."
    return _refused_twin(twin, message, plan)


def _refused_twin(twin: Twin, message: str, plan: Plan) -> Refusal:
    place, title = twin.place, plan.theirs(plan.sheet.columns[0].title)
    return Refusal(place.place, "duplicate-id", message, place.part, place.row, title, None, twin.subject)
