"""What callers ask of the writer, and the transaction in which it answers many at once."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import apsw

from broker_adapters.embedded.database import OFFSET_BITS, OFFSET_MASK, fetch
from broker_adapters.log import Fenced, NewRecord

ROWS_A_STATEMENT = (128, 16, 1)
"""How many rows one INSERT takes, largest first: one statement a row costs more in hand-overs between
threads than in SQLite. Few sizes, so that each stays compiled."""


class Tail(NamedTuple):
    """Where a topic ends: the next offset, and the newest record's time."""

    end: int
    recorded_at_ms: int


class Stored:
    """What the writer keeps in memory of what the file holds. Belongs to the writer's thread."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.topics: dict[str, int] = dict(fetch(connection, "SELECT name, id FROM topic"))
        self.tails = {topic_id: read_tail(connection, topic_id) for topic_id in self.topics.values()}
        self.epochs: dict[str, int] = dict(fetch(connection, "SELECT name, epoch FROM processor"))
        self.marks: int = fetch(connection, "SELECT transactions FROM mark")[0][0]


def read_tail(connection: apsw.Connection, topic_id: int) -> Tail:
    """Return where a topic ends in the file."""
    newest = fetch(
        connection,
        "SELECT id, recorded_at FROM record WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1",
        (topic_id << OFFSET_BITS, topic_id << OFFSET_BITS | OFFSET_MASK),
    )
    return Tail((newest[0][0] & OFFSET_MASK) + 1, newest[0][1]) if newest else Tail(0, 0)


class Draft:
    """One transaction in the making: what a group of requests adds to what is stored."""

    def __init__(self, stored: Stored, now_ms: int) -> None:
        self._stored = stored
        self._now_ms = now_ms
        self._rows: list[Any] = []
        self._states: list[Any] = []
        self._removed: list[tuple[str, str]] = []
        self._positions: list[Any] = []
        self.tails: dict[int, Tail] = {}
        self.topics: dict[str, int] = {}
        self.epochs: dict[str, int] = {}
        self.entered: list[Enter] = []

    def append(self, topic_id: int, records: Sequence[NewRecord]) -> int:
        """Add records to a topic; return the first one's offset."""
        end, newest_ms = self.tails.get(topic_id) or self._stored.tails[topic_id]
        at_ms = max(self._now_ms, newest_ms)
        rows = self._rows
        for row_id, (value, key, _) in enumerate(records, topic_id << OFFSET_BITS | end):
            rows += (row_id, at_ms, key, value)
        self.tails[topic_id] = Tail(end + len(records), at_ms)
        return end

    def create(self, name: str) -> None:
        """Add a topic unless it is there."""
        if name not in self._stored.topics and name not in self.topics:
            topic_id = len(self._stored.topics) + len(self.topics) + 1
            self.topics[name] = topic_id
            self.tails[topic_id] = Tail(0, 0)

    def epoch(self, processor: str) -> int:
        """Return the epoch of the newest processor of that name; 0 when there was none."""
        return self.epochs.get(processor) or self._stored.epochs.get(processor, 0)

    def remember(self, processor: str, state: Mapping[str, bytes | None], positions: Mapping[str, int]) -> None:
        """Set a processor's state and positions."""
        for key, value in state.items():
            if value is None:
                self._removed.append((processor, key))
            else:
                self._states += (processor, key, value)
        for topic, offset in positions.items():
            self._positions += (processor, topic, offset)

    def write(self, connection: apsw.Connection) -> None:
        """Write all of it within the connection's transaction."""
        insert_rows(connection, "INSERT INTO record VALUES", 4, self._rows)
        if self.topics:
            insert_rows(connection, "INSERT INTO topic (name, id) VALUES", 2, flat(self.topics))
        if self.epochs:
            insert_rows(connection, "REPLACE INTO processor VALUES", 2, flat(self.epochs))
        insert_rows(connection, "REPLACE INTO position VALUES", 3, self._positions)
        insert_rows(connection, "REPLACE INTO state VALUES", 3, self._states)
        if self._removed:
            connection.executemany("DELETE FROM state WHERE processor = ? AND key = ?", self._removed)
        if not self._rows:
            connection.execute("UPDATE mark SET transactions = transactions + 1")
        for request in self.entered:
            request.read_positions(connection)

    def is_in(self, found: Stored) -> bool:
        """Tell whether this transaction is among what was found in the file: by its records, else by its mark."""
        if self._rows:
            topic_id = self._rows[0] >> OFFSET_BITS
            return found.tails.get(topic_id) == self.tails[topic_id]
        return found.marks > self._stored.marks

    def merge(self) -> None:
        """Take what was committed over into what is stored."""
        self._stored.topics |= self.topics
        self._stored.tails |= self.tails
        self._stored.epochs |= self.epochs
        self._stored.marks += not self._rows


def flat(pairs: Mapping[str, int]) -> list[Any]:
    """Return keys and values in one row."""
    return [part for pair in pairs.items() for part in pair]


@cache
def insert(head: str, columns: int, rows: int) -> str:
    """Return an INSERT of that many rows."""
    row = f"({','.join('?' * columns)})"
    return f"{head} {','.join([row] * rows)}"


def insert_rows(connection: apsw.Connection, head: str, columns: int, values: list[Any]) -> None:
    """Insert rows given as one flat list of values."""
    done = 0
    for rows in ROWS_A_STATEMENT:
        step = rows * columns
        while len(values) - done >= step:
            connection.execute(insert(head, columns, rows), values[done : done + step])
            done += step


class Request:
    """Something asked of the writer. `answer` is set once it is committed, `error` when it failed."""

    __slots__ = ("answer", "error", "future", "size_bytes")

    def __init__(self, size_bytes: int = 0) -> None:
        self.size_bytes = size_bytes
        self.answer: Any = None
        self.error: Exception | None = None
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def add_to(self, draft: Draft) -> None:
        """Add to the transaction what was asked, or raise a `LogError` and add nothing."""
        raise NotImplementedError

    def resolve(self) -> None:
        """Answer the caller, if it still waits."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.answer)
        else:
            self.future.set_exception(self.error)


class Append(Request):
    """Append records to one topic; the answer is their offsets."""

    __slots__ = ("_records", "_topic_id")

    def __init__(self, topic_id: int, records: Sequence[NewRecord], size_bytes: int) -> None:
        super().__init__(size_bytes)
        self._topic_id, self._records = topic_id, records

    def add_to(self, draft: Draft) -> None:
        first = draft.append(self._topic_id, self._records)
        self.answer = list(range(first, first + len(self._records)))


class Create(Request):
    """Create topics."""

    __slots__ = ("_names",)

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self._names = tuple(names)

    def add_to(self, draft: Draft) -> None:
        for name in self._names:
            draft.create(name)


class Enter(Request):
    """Start a processor, which fences the one before; the answer is its epoch and its positions."""

    __slots__ = ("_epoch", "_name")

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._epoch = 0

    def add_to(self, draft: Draft) -> None:
        self._epoch = draft.epoch(self._name) + 1
        draft.epochs[self._name] = self._epoch
        draft.entered.append(self)

    def read_positions(self, connection: apsw.Connection) -> None:
        """Read, within the transaction, what the predecessor has committed last."""
        positions = fetch(connection, "SELECT topic, next FROM position WHERE processor = ?", (self._name,))
        self.answer = (self._epoch, dict(positions))


class Commit(Request):
    """What a processor commits, all or nothing."""

    __slots__ = ("_epoch", "_name", "_outputs", "_positions", "_state")

    def __init__(
        self,
        name: str,
        epoch: int,
        *,
        outputs: Sequence[tuple[int, Sequence[NewRecord]]],
        state: Mapping[str, bytes | None],
        positions: Mapping[str, int],
        size_bytes: int,
    ) -> None:
        super().__init__(size_bytes)
        self._name, self._epoch = name, epoch
        self._outputs, self._state, self._positions = outputs, dict(state), dict(positions)

    def add_to(self, draft: Draft) -> None:
        if draft.epoch(self._name) != self._epoch:
            raise Fenced(f"Another processor {self._name!r} has started; this one must stop.")
        for topic_id, records in self._outputs:
            draft.append(topic_id, records)
        draft.remember(self._name, self._state, self._positions)


class Probe(Request):
    """Find out whether the file can be written: commits a mark, and no record."""

    __slots__ = ()

    def add_to(self, draft: Draft) -> None:
        """Add nothing: a transaction without records leaves a mark."""
