"""How far each place was read, and what was said of it then: a place that is as it was is not read again."""

import sqlite3
from collections.abc import Iterable
from typing import Any

import orjson


class Marks:
    """The marks of one book."""

    def __init__(self, database: sqlite3.Connection, book: int) -> None:
        self._database, self._book = database, book

    def get(self, place: str) -> tuple[bytes | None, dict[str, Any]]:
        """Return the mark of a place and what was told of it; None and nothing for one that was never read."""
        row = self._database.execute(
            "SELECT mark, told FROM marks WHERE book=? AND place=?", (self._book, place)
        ).fetchone()
        return (None, {}) if row is None else (row[0], orjson.loads(row[1]))

    def set(self, place: str, mark: bytes, told: dict[str, Any]) -> None:
        """Remember how far a place was read; durable with the transaction around it."""
        self._database.execute(
            "INSERT OR REPLACE INTO marks VALUES (?,?,?,?)", (self._book, place, mark, orjson.dumps(told).decode())
        )

    def set_compared(self, places: Iterable[str]) -> None:
        """Remember that what is gone from these places was dealt with; durable on return."""
        self._database.executemany(
            "UPDATE marks SET told=json_set(told, '$.compared', json('true')) WHERE book=? AND place=?",
            [(self._book, place) for place in places],
        )
