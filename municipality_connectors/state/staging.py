"""What a run has read, put aside on disk until it is known what of it is new: a table may be larger than memory.

Only after the last row of a file is it known whether an id stands in it twice; and nobody but the rows' owner knows
which of the two is meant.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from municipality_connectors.mapping.changes import Thing
from municipality_connectors.state.outbox import Place

PAGE_ROWS = 1_000

_TABLES = """
CREATE TEMP TABLE IF NOT EXISTS staged (number INTEGER PRIMARY KEY, portion INTEGER NOT NULL, name TEXT NOT NULL,
  subject TEXT NOT NULL, content BLOB NOT NULL, data BLOB NOT NULL, changed_us INTEGER, gone INTEGER NOT NULL,
  dataschema TEXT NOT NULL, place TEXT NOT NULL, part TEXT, row INTEGER, noticed TEXT,
  bad INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS temp.staged_key ON staged (subject, name);
CREATE TEMP TABLE IF NOT EXISTS dismissed (place TEXT PRIMARY KEY);
"""


class StagedRow(NamedTuple):
    """A row that may be published. data: its JSON, empty where it says only that its thing is gone.

    changed_us: where the source says so. gone: taken back by it. noticed: the property that says when the thing was
    registered, where the source does not: when it was first seen.
    """

    name: str
    subject: str
    content: bytes
    data: bytes
    changed_us: int | None
    gone: bool
    dataschema: str
    place: Place
    noticed: str | None = None


class Compared(NamedTuple):
    """A staged row beside what is known of its thing.

    has_data: whether what was last taken in of it is kept; data: that, for a row that says only that the thing is gone.
    """

    row: StagedRow
    known: Thing | None
    refused: bytes | None
    noticed_us: int | None
    known_place: str | None
    has_data: bool
    data: bytes | None


class Twin(NamedTuple):
    """A row whose id another row has, too. other: where that stands."""

    name: str
    subject: str
    place: Place
    other: Place


class Vanished(NamedTuple):
    """A thing whose row is gone. data: what was last published of it."""

    name: str
    subject: str
    thing: Thing
    place: str
    data: bytes


class Staging:
    """The rows of one run. One portion (a file, a table) is read after another."""

    def __init__(self, database: sqlite3.Connection, book: int) -> None:
        self._database, self._book = database, book
        self._portion = 0
        database.executescript(_TABLES)
        database.executescript("DELETE FROM staged; DELETE FROM dismissed;")

    def begin(self) -> None:
        """Begin the next portion."""
        self._portion += 1

    def add(self, rows: Iterable[StagedRow]) -> None:
        """Put rows of this portion aside."""
        self._database.executemany(
            "INSERT INTO staged (portion, name, subject, content, data, changed_us, gone, dataschema, place, part, row,"
            " noticed) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            [
                (
                    self._portion, row.name, row.subject, row.content, row.data, row.changed_us, int(row.gone),
                    row.dataschema, *row.place, row.noticed,
                )
                for row in rows
            ],
        )  # fmt: skip

    def saw(self, name: str, subject: str, place: Place) -> None:
        """Say that a thing has a row, though one that cannot be published as it is."""
        self._database.execute(
            "INSERT INTO staged (portion, name, subject, content, data, gone, dataschema, place, part, row, bad)"
            " VALUES (?,?,?,x'',x'',0,'',?,?,?,1)",
            (self._portion, name, subject, *place),
        )

    def holds(self, subject: str, *, good_after: int | None = None) -> bool:
        """Whether this portion has a row of a thing; `good_after`: one that can be published, after that row."""
        found = self._database.execute(
            "SELECT 1 FROM staged WHERE subject=? AND portion=? AND (? IS NULL OR (bad=0 AND row>?)) LIMIT 1",
            (subject, self._portion, good_after, good_after),
        ).fetchone()
        return found is not None

    def dismiss(self, place: str) -> None:
        """Say that a place is as it was, so that what is known from there stands there still."""
        self._database.execute("INSERT OR IGNORE INTO dismissed VALUES (?)", (place,))

    def mark_twins(self) -> list[Twin]:
        """Set aside all rows of this portion that share an id, and return them."""
        rows = self._database.execute(
            "SELECT number, name, subject, place, part, row FROM staged WHERE portion=? AND bad=0"
            " AND (name, subject) IN (SELECT name, subject FROM staged WHERE portion=? AND bad=0 GROUP BY 1, 2"
            " HAVING count(*)>1)"
            " ORDER BY number",
            (self._portion, self._portion),
        ).fetchall()
        found: dict[tuple[str, str], list[tuple[int, Place]]] = {}
        for number, name, subject, *place in rows:
            found.setdefault((name, subject), []).append((number, Place(*place)))
        self._database.executemany("UPDATE staged SET bad=1 WHERE number=?", [(row[0],) for row in rows])
        return [
            Twin(name, subject, place, next(other for row, other in twins if row != number))
            for (name, subject), twins in found.items()
            for number, place in twins
        ]

    def mark_strangers(self) -> tuple[list[Twin], int]:
        """Set aside rows of things that another portion of this run has, too.

        Returns those that say something else there, and how many say the same: the two would replace each other at
        every run, while the same in two places says nothing new.
        """
        rows = self._database.execute(
            "SELECT s.number, s.name, s.subject, s.place, s.part, s.row, o.place, o.part, o.row, s.content=o.content"
            " FROM staged s JOIN staged o ON o.name=s.name AND o.subject=s.subject AND o.portion<s.portion AND o.bad=0"
            " WHERE s.portion=? AND s.bad=0"
            " UNION ALL"
            " SELECT s.number, s.name, s.subject, s.place, s.part, s.row, t.place, NULL, NULL, s.content IS t.content"
            " FROM staged s JOIN things t ON t.book=? AND t.name=s.name AND t.subject=s.subject"
            " JOIN dismissed d ON d.place=t.place WHERE s.portion=? AND s.bad=0 AND t.gone=0",
            (self._portion, self._book, self._portion),
        ).fetchall()
        self._database.executemany("UPDATE staged SET bad=1 WHERE number=?", [(row[0],) for row in rows])
        told = [Twin(name, subject, Place(*place[:3]), Place(*place[3:6])) for _, name, subject, *place in rows
                if not place[6]]  # fmt: skip
        return told, len(rows) - len(told)

    def compared(self) -> Iterator[list[Compared]]:
        """Iterate over this portion's good rows, page by page in their order, beside what is known of their things."""
        after = -1
        while True:
            rows = self._database.execute(
                "SELECT s.number, s.name, s.subject, s.content, s.data, s.changed_us, s.gone, s.dataschema, s.place,"
                " s.part, s.row, s.noticed, t.revision, t.content, t.time_us, t.refused, t.noticed_us, t.place,"
                " t.data NOT NULL, CASE WHEN s.data=x'' THEN t.data END"
                " FROM staged s LEFT JOIN things t ON t.book=? AND t.name=s.name AND t.subject=s.subject"
                " WHERE s.number>? AND s.portion=? AND s.bad=0 ORDER BY s.number LIMIT ?",
                (self._book, after, self._portion, PAGE_ROWS),
            ).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield [_compared(row) for row in rows]

    def vanished(self, name: str) -> list[Vanished]:
        """Return the things of a type whose rows are gone."""
        rows = self._database.execute(
            "SELECT t.subject, t.revision, t.content, t.time_us, t.place, t.data FROM things t"
            " WHERE t.book=? AND t.name=? AND t.gone=0 AND t.content NOT NULL AND t.data NOT NULL"
            " AND t.place NOT IN (SELECT place FROM dismissed)"
            " AND NOT EXISTS (SELECT 1 FROM staged s WHERE s.name=t.name AND s.subject=t.subject) ORDER BY t.subject",
            (self._book, name),
        )
        return [Vanished(name, subject, Thing(*thing), place, data) for subject, *thing, place, data in rows]


def _compared(row: tuple[object, ...]) -> Compared:
    _, name, subject, content, data, changed_us, gone, dataschema, place, part, number, noticed, *known = row
    revision, known_content, time_us, refused, noticed_us, known_place, has_data, known_data = known
    staged = StagedRow(
        name, subject, content, data, changed_us, bool(gone), dataschema, Place(place, part, number), noticed  # type: ignore[arg-type]
    )  # fmt: skip
    # A thing of which nothing was ever taken in, and nothing waits, is as good as new.
    thing = None if not revision else Thing(revision, known_content, time_us)  # type: ignore[arg-type]
    return Compared(staged, thing, refused, noticed_us, known_place, bool(has_data), known_data)  # type: ignore[arg-type]
