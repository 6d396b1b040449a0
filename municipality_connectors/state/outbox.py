"""What the gateway has not acknowledged: kept in order, from before it is sent until it is taken in or refused.

A thing's newest state, sent or waiting, stands in `things`; what was refused is set aside with its reason.
An event's bytes follow from its row here, so after a crash the same event goes again and is recognised.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import orjson

from municipality_connectors.mapping.changes import Thing, at_a_time, later
from municipality_connectors.mapping.withdrawing import is_closed
from municipality_connectors.state.store import transaction


class Place(NamedTuple):
    """Where a row stands. place: a file or table; part: its worksheet; row: as its owner counts."""

    place: str
    part: str | None = None
    row: int | None = None


class State(NamedTuple):
    """One state of a thing, to be sent. number: its place in the outbox, 0 before it has one."""

    name: str
    subject: str
    thing: Thing
    dataschema: str
    data: bytes
    place: Place
    number: int = 0
    gone: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """The thing's type and id."""
        return self.name, self.subject


class SetAside(NamedTuple):
    """A state that the gateway refused. message: Danish; refused_us: when."""

    state: State
    problem: str
    message: str
    refused_us: int


class Refusal(NamedTuple):
    """What the gateway said of one state."""

    state: State
    problem: str
    message: str


_COLUMNS = "name, subject, revision, content, time_us, dataschema, data, place, part, row, number"
_BY_KEY = "book=? AND name=? AND subject=?"
_OPEN = "book=? AND gone=0 AND content NOT NULL AND data NOT NULL"
_SETTLED = (
    "UPDATE things SET settled=?, settled_us=?, settled_data=CASE WHEN data IS NULL THEN NULL ELSE ? END, refused=NULL"
    f" WHERE {_BY_KEY}"
)
OF_ITS_TIME = "time-in-future"
"""What is refused for its time alone: the same content at another time is not."""


def _state(row: Sequence[object]) -> State:
    name, subject, revision, content, time_us, dataschema, data, place, part, number_of_row, number = row
    return State(
        name, subject, Thing(revision, content, time_us), dataschema, data, Place(place, part, number_of_row), number  # type: ignore[arg-type]
    )  # fmt: skip


class Outbox:
    """The outbox of one book."""

    def __init__(self, database: sqlite3.Connection, book: int) -> None:
        self._database, self._book = database, book

    def keep(self, states: Iterable[State], *, now_us: int, keep_data: bool = False) -> None:
        """Put states at the end, as their things' newest; durable with the transaction around it.

        keep_data: whether the thing's data is kept, too, for whoever wants to take it back when its row is gone.
        """
        states = list(states)
        self._database.executemany(
            "INSERT INTO outbox (book, name, subject, revision, time_us, dataschema, content, data, place, part, row,"
            " kept_us) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            [
                (
                    self._book, state.name, state.subject, state.thing.revision, state.thing.time_us, state.dataschema,
                    state.thing.content, state.data, *state.place, now_us,
                )
                for state in states
            ],
        )  # fmt: skip
        self._database.executemany(
            "INSERT INTO things (book, name, subject, revision, content, time_us, noticed_us, place, gone, data)"
            " VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (book, name, subject) DO UPDATE SET revision=excluded.revision,"
            " content=excluded.content, time_us=excluded.time_us, place=excluded.place, gone=excluded.gone,"
            " data=excluded.data",
            [
                (
                    self._book, state.name, state.subject, state.thing.revision, state.thing.content,
                    state.thing.time_us, now_us, state.place.place, int(state.gone),
                    state.data if keep_data else None,
                )
                for state in states
            ],
        )  # fmt: skip

    def keep_data(self, name: str, subject: str, data: bytes) -> None:
        """Keep the data of a thing that is as it was; durable with the transaction around it."""
        self._database.execute(f"UPDATE things SET data=? WHERE {_BY_KEY}", (data, self._book, name, subject))

    def move(self, name: str, subject: str, place: str) -> None:
        """Note where the row of a thing that is as it was stands now; durable with the transaction around it."""
        self._database.execute(f"UPDATE things SET place=? WHERE {_BY_KEY}", (place, self._book, name, subject))

    def count_open(self, name: str) -> int:
        """Return how many things of a type, of those whose data is kept, have not come to their end."""
        rows = self._database.execute(f"SELECT data FROM things WHERE {_OPEN} AND name=?", (self._book, name))
        return sum(not is_closed(name, orjson.loads(data)) for (data,) in rows)

    def has_open_from(self, place: str) -> bool:
        """Whether something whose row stood at a place has not come to its end; only of things whose data is kept."""
        rows = self._database.execute(f"SELECT name, data FROM things WHERE {_OPEN} AND place=?", (self._book, place))
        return any(not is_closed(name, orjson.loads(data)) for name, data in rows)

    def next(self, limit: int, *, after: int = 0) -> list[State]:
        """Return the first states that wait, each of another thing: a thing's states go one after another.

        after: the number behind which they stand.
        """
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM outbox WHERE book=? AND number>? ORDER BY number LIMIT ?",
            (self._book, after, limit),
        )
        states: list[State] = []
        seen: set[tuple[str, str]] = set()
        for state in map(_state, rows):
            if state.key in seen:
                break
            seen.add(state.key)
            states.append(state)
        return states

    def waiting(self) -> tuple[int, int | None]:
        """Return how many wait, and since when the first does."""
        count, since = self._database.execute(
            "SELECT count(*), min(kept_us) FROM outbox WHERE book=?", (self._book,)
        ).fetchone()
        return count, since

    def settle(self, taken: Sequence[State], refused: Sequence[Refusal], *, now_us: int) -> None:
        """Strike out what was taken in, and set aside what was refused; durable on return."""
        with transaction(self._database) as database:
            database.executemany(
                _SETTLED,
                [(state.thing.content, state.thing.time_us, state.data, self._book, *state.key) for state in taken],
            )
            database.executemany(f"DELETE FROM refused WHERE {_BY_KEY}", [(self._book, *state.key) for state in taken])
            for refusal in refused:
                self._set_aside(refusal, now_us)
            numbers = [(state.number,) for state in (*taken, *(refusal.state for refusal in refused))]
            database.executemany("DELETE FROM outbox WHERE number=?", numbers)

    def _set_aside(self, refusal: Refusal, now_us: int) -> None:
        """Keep a refused state with its reason. Its number was not taken: later states of the thing move up."""
        state = refusal.state
        key = (self._book, *state.key)
        self._database.execute(f"DELETE FROM refused WHERE {_BY_KEY}", key)
        self._database.execute(
            "INSERT INTO refused (book, name, subject, time_us, dataschema, content, data, place, part, row, problem,"
            " message, refused_us) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                *key, state.thing.time_us, state.dataschema, state.thing.content, state.data, *state.place,
                refusal.problem, refusal.message, now_us,
            ),
        )  # fmt: skip
        self._move_up(key, state.number)
        self._strike_what_is_no_change(key, state.number)
        content, time_us = state.thing.content or b"", state.thing.time_us
        self._fall_back(key, state.number, at_a_time(content, time_us) if refusal.problem == OF_ITS_TIME else content)

    def _fall_back(self, key: tuple[int, str, str], after: int, refused: bytes) -> None:
        """Let a thing be as the newest state that waits says, or else as the gateway has it."""
        newest = self._database.execute(
            f"SELECT content, time_us, data FROM outbox WHERE {_BY_KEY} AND number>? ORDER BY number DESC LIMIT 1",
            (*key, after),
        ).fetchone()
        content, time_us, data = newest or (None, None, None)
        self._database.execute(
            "UPDATE things SET refused=?, content=coalesce(?, settled), time_us=coalesce(?, settled_us, time_us),"
            " data=CASE WHEN data IS NULL THEN NULL ELSE coalesce(?, settled_data) END,"
            f" gone=CASE WHEN ? THEN gone ELSE 0 END WHERE {_BY_KEY}",
            (refused, content, time_us, data, newest is not None, *key),
        )

    def _move_up(self, key: tuple[int, str, str], after: int) -> None:
        """Give the states of a thing that follow the number before theirs."""
        self._database.execute(f"UPDATE outbox SET revision=revision-1 WHERE {_BY_KEY} AND number>?", (*key, after))
        self._database.execute(f"UPDATE things SET revision=revision-1 WHERE {_BY_KEY}", key)

    def _strike_what_is_no_change(self, key: tuple[int, str, str], after: int) -> None:
        """Strike out a state that only took back the refused one: it says what the gateway has already."""
        row = self._database.execute(
            f"SELECT number, content FROM outbox WHERE {_BY_KEY} AND number>? ORDER BY number LIMIT 1", (*key, after)
        ).fetchone()
        if row is None:
            return
        settled = self._database.execute(f"SELECT settled FROM things WHERE {_BY_KEY}", key).fetchone()[0]
        if row[1] == settled:
            self._move_up(key, row[0])
            self._database.execute("DELETE FROM outbox WHERE number=?", (row[0],))

    def renumber(self, state: State, newest: Thing) -> None:
        """Let a waiting state, and what follows of its thing, come after what the gateway has; durable on return."""
        key = (self._book, *state.key)
        with transaction(self._database) as database:
            rows = database.execute(
                f"SELECT number, time_us FROM outbox WHERE {_BY_KEY} ORDER BY number", key
            ).fetchall()
            revision, time_us = newest.revision, newest.time_us
            for number, own_us in rows:
                revision, time_us = revision + 1, later(own_us, time_us)
                database.execute("UPDATE outbox SET revision=?, time_us=? WHERE number=?", (revision, time_us, number))
            database.execute(f"UPDATE things SET revision=?, time_us=? WHERE {_BY_KEY}", (revision, time_us, *key))

    def found(self, state: State, newest: Thing) -> None:
        """Strike out a state that the gateway turned out to have as its newest; durable on return."""
        key = (self._book, *state.key)
        with transaction(self._database) as database:
            database.execute("DELETE FROM outbox WHERE number=?", (state.number,))
            database.execute(_SETTLED, (state.thing.content, newest.time_us, state.data, *key))
            database.execute(
                f"UPDATE things SET revision=?, time_us=? WHERE {_BY_KEY}", (newest.revision, newest.time_us, *key)
            )
        if database.execute(f"SELECT 1 FROM outbox WHERE {_BY_KEY} LIMIT 1", key).fetchone():
            self.renumber(state, newest)

    # --- what was set aside ---------------------------------------------------------------------

    def set_aside(self) -> Iterator[SetAside]:
        """Iterate over what the gateway refused, the oldest first."""
        rows = self._database.execute(
            "SELECT name, subject, 0, content, time_us, dataschema, data, place, part, row, number, problem, message,"
            " refused_us FROM refused WHERE book=? ORDER BY number",
            (self._book,),
        )
        for *state, problem, message, refused_us in rows:
            yield SetAside(_state(state), problem, message, refused_us)

    def set_aside_count(self, place: str | None = None) -> int:
        """Return how many states the gateway refused that were not mended; place: only of rows that stand there."""
        counted = self._database.execute(
            "SELECT count(*) FROM refused WHERE book=? AND place=coalesce(?, place)", (self._book, place)
        )
        return int(counted.fetchone()[0])

    def send_again(self, number: int, content: bytes, data: bytes, *, now_us: int) -> bool:
        """Put one that was set aside, as it was or mended, at the outbox's end; durable on return.

        False for a number that is not there, or whose thing has a newer state waiting.
        """
        with transaction(self._database) as database:
            row = database.execute(
                "SELECT name, subject, 0, content, time_us, dataschema, data, place, part, row, number FROM refused"
                " WHERE book=? AND number=?",
                (self._book, number),
            ).fetchone()
            if row is None:
                return False
            state = _state(row)
            if database.execute(f"SELECT 1 FROM outbox WHERE {_BY_KEY} LIMIT 1", (self._book, *state.key)).fetchone():
                return False
            known = database.execute(
                f"SELECT revision, time_us FROM things WHERE {_BY_KEY}", (self._book, *state.key)
            ).fetchone()
            revision, time_us = known or (0, 0)
            thing = Thing(revision + 1, content, later(state.thing.time_us, time_us))
            self.keep([state._replace(thing=thing, data=data, number=0)], now_us=now_us, keep_data=True)
            database.execute("DELETE FROM refused WHERE number=?", (number,))
        return True
