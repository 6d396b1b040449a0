"""A transactional outbox as a source: their system writes a row for each change, in the change's own transaction.

Rows are struck out once they are kept durably here. A row whose sequence number is lower but whose transaction ended
later is found all the same, since what counts is that it is still there, not how far the numbers were read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Select
from sqlalchemy.exc import SQLAlchemyError

from municipality_connectors.mapping.plan import Plan, folded_title
from municipality_connectors.sources import sql_statements as statements
from municipality_connectors.sources.documents import cells_at
from municipality_connectors.sources.portion import Done, MarkOf, Portion
from municipality_connectors.sources.sql import connected, found, open_engine, spelled
from municipality_connectors.sources.sql_errors import error_of
from municipality_connectors.sources.values import cell_of
from municipality_connectors.tables import BadCell, Row, SourceError, Table

ROWS_AT_ONCE = 5_000
"""Rows of one reading; the next follows at once while there are more."""

CHARACTERS_AT_ONCE = 32 * 1024 * 1024
"""The content of one reading, and at most so much more as is fetched at once: a row's document may be of any size."""

FETCHED_AT_ONCE = 20

NUMBERS_AT_ONCE = 500
"""Rows that are struck out by one statement: SQL Server takes 2,100 parameters, Oracle's lists hold 1,000."""


@dataclass(frozen=True)
class WantedOutbox:
    """An outbox table. plans: what becomes of its rows; a row that several want is read by each.

    sequence: the column that orders it. sent: the column that is set when a row is done with; None to delete it.
    payload: a column with JSON, in which the plans' columns are looked for.
    """

    plans: tuple[Plan, ...]
    table: str
    sequence: str
    sent: str | None = None
    payload: str | None = None

    @property
    def place(self) -> str:
        """The name by which it is remembered and told."""
        return self.table


class OutboxTables:
    """The outbox tables of one database."""

    def __init__(self, url: URL, wanted: Sequence[WantedOutbox]) -> None:
        self._url, self._wanted = url, wanted

    def portions(self, mark_of: MarkOf) -> Iterator[Portion | SourceError]:
        """Iterate over the tables, each until nothing is left in it."""
        engine = open_engine(self._url)
        for wanted in self._wanted:
            after = None
            while True:
                with connected(engine) as connection:
                    # What was read must not be read again: an older state would come after a newer one.
                    portion = OutboxPortion(connection, wanted, mark_of(wanted.place, always=True), after)
                    yield portion
                after = portion.last
                if after is None or portion.standing_still:
                    break


class OutboxPortion(Portion):
    """Some rows of an outbox table. Its mark are the rows that were read and perhaps not struck out: number and digest.

    A number alone is no row: where a table is emptied and its numbers begin anew, another row has it.
    last: the last number, while there may be more. standing_still: rows could not be struck out.
    """

    whole = False
    successive = True

    def __init__(self, connection: Connection, wanted: WantedOutbox, mark: bytes | None, after: int | None) -> None:
        self.place = wanted.place
        self._connection, self._wanted, self._after = connection, wanted, after
        self._before = _read_mark(mark)
        self._rows: dict[int, tuple[Any, ...]] = {}
        self._left: list[int] = []
        self.last: int | None = None
        self.standing_still = False

    def tables(self) -> Iterator[tuple[Plan, Table] | SourceError]:
        """Read the rows that were not read before, for each plan. Raises `SourceError`."""
        wanted = self._wanted
        try:
            self._source = self._found()
            self._sequence = spelled(wanted.sequence, self._source.columns, self.place)
            self._sent = None if wanted.sent is None else spelled(wanted.sent, self._source.columns, self.place)
            waiting = statements.waiting_rows(self._source, self._sequence, self._sent, self._after, ROWS_AT_ONCE)
            rows, more = self._some(waiting)
        except SQLAlchemyError as error:
            raise error_of(error, self.place) from None
        at = self._source.columns.index(self._sequence)
        numbered = dict(zip(self._checked([row[at] for row in rows]), rows, strict=True))
        self.last = max(numbered) if more else None
        self._left = [number for number, row in numbered.items() if self._before.get(number) == _digest(row)]
        self._rows = {number: row for number, row in numbered.items() if number not in set(self._left)}
        for plan in wanted.plans:
            yield plan, self._table(plan)

    def _some(self, waiting: Select[Any]) -> tuple[list[tuple[Any, ...]], bool]:
        """Return as many rows as are held at once, and whether there may be more."""
        rows: list[tuple[Any, ...]] = []
        size = 0
        with self._connection.execute(waiting, execution_options={"yield_per": FETCHED_AT_ONCE}) as result:
            for row in result:
                rows.append(tuple(row))
                size += len(repr(row))
                if size >= CHARACTERS_AT_ONCE:
                    return rows, True
        return rows, len(rows) == ROWS_AT_ONCE

    def _found(self) -> statements.From:
        wanted = self._wanted
        others = [wanted.sequence, wanted.sent, wanted.payload]
        # Beside a document every column may be asked for: which are meant is known only where it is looked into. So
        # it is where several want the rows.
        plan = wanted.plans[0] if wanted.payload is None and len(wanted.plans) == 1 else None
        return found(self._connection, wanted.table, None, plan, self.place, others)

    def _table(self, plan: Plan) -> Table:
        if self._wanted.payload is None:
            header = self._source.columns
            cells = [tuple(map(cell_of, row)) for row in self._rows.values()]
        else:
            header = plan.columns
            payload = self._source.columns.index(spelled(self._wanted.payload, self._source.columns, self.place))
            cells = [self._unpacked(row, payload, header) for row in self._rows.values()]
        numbered = (Row(number, row) for number, row in zip(self._rows, cells, strict=True))
        return Table(None, header, numbered, lettered=False, may_be_empty=True)

    def _checked(self, numbers: Sequence[Any]) -> list[int]:
        try:
            if all(isinstance(number, int) or number == int(number) for number in numbers):
                return [int(number) for number in numbers]
        except (TypeError, ValueError, OverflowError):
            pass
        message = f"Kolonnen »{self._wanted.sequence}« skal være et løbenummer, et helt tal der vokser. Ret »sequence«."
        raise SourceError("wrong-column", message, place=self.place, column=self._wanted.sequence)

    def _unpacked(self, row: tuple[Any, ...], payload: int, header: Sequence[str]) -> tuple[Any, ...]:
        document = row[payload]
        if isinstance(document, str | bytes):
            try:
                document = orjson.loads(document)
            except orjson.JSONDecodeError:
                message = f"Kolonnen »{self._wanted.payload}« er ikke JSON i denne række."
                return (BadCell(message),) * len(header)
        around = dict(zip(map(folded_title, self._source.columns), row, strict=True))
        return cells_at(document, header, around)

    def mark(self, done: Done) -> bytes:
        """Return the rows that were read, until they are known to be struck out."""
        numbers = [*self._read(done), *self._left]
        digests = self._before | {number: _digest(row) for number, row in self._rows.items()}
        return orjson.dumps([[number, digests[number]] for number in numbers if number in digests])

    def _read(self, done: Done) -> list[int]:
        return [*(number for number in self._rows if number not in done.unread), *done.superseded]

    def taken(self, done: Done) -> None:
        """Strike out what is kept; what could not be read stays, so that it is not lost."""
        try:
            self._strike([*self._left, *self._read(done)])
        except SQLAlchemyError as error:
            self.standing_still = True
            raise error_of(error, self.place) from None

    def _strike(self, numbers: Sequence[int]) -> None:
        for some in range(0, len(numbers), NUMBERS_AT_ONCE):
            which = numbers[some : some + NUMBERS_AT_ONCE]
            self._connection.execute(statements.done_rows(self._source, self._sequence, self._sent, which))
        self._connection.commit()


def _digest(row: tuple[Any, ...]) -> str:
    return sha256(repr(row).encode()).hexdigest()[:16]


def _read_mark(mark: bytes | None) -> dict[int, str]:
    """Return the rows of a mark; numbers alone, as they were kept once, tell no row."""
    rows = orjson.loads(mark) if mark else []
    return {row[0]: row[1] for row in rows if isinstance(row, list)}
