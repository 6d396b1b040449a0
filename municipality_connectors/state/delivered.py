"""What was delivered into a sheet: kept here, since a sheet is written anew as a whole."""

import sqlite3
from collections.abc import Iterable, Iterator

from municipality_connectors.state.store import transaction

Key = tuple[str, str, str]


class Delivered:
    """The things of one delivery: owner, subject and alliance to the data that was shared."""

    def __init__(self, database: sqlite3.Connection, book: int, name: str) -> None:
        self._database, self._of = database, (book, name)

    def keep(self, things: Iterable[tuple[Key, bytes | None]]) -> None:
        """Keep things, or forget those without data; durable on return."""
        with transaction(self._database) as database:
            for key, data in things:
                if data is None:
                    database.execute(
                        "DELETE FROM delivered WHERE book=? AND name=? AND owner=? AND subject=? AND alliance=?",
                        (*self._of, *key),
                    )
                else:
                    database.execute("INSERT OR REPLACE INTO delivered VALUES (?,?,?,?,?,?)", (*self._of, *key, data))
            database.execute("INSERT OR REPLACE INTO deliveries VALUES (?,?,0)", self._of)

    def written(self) -> None:
        """Remember that the file holds what is kept."""
        self._database.execute("INSERT OR REPLACE INTO deliveries VALUES (?,?,1)", self._of)

    def is_written(self) -> bool:
        """Whether the file holds what is kept."""
        row = self._database.execute("SELECT written FROM deliveries WHERE book=? AND name=?", self._of).fetchone()
        return row is None or bool(row[0])

    def all(self) -> Iterator[tuple[Key, bytes]]:
        """Iterate over what is kept, in the order of owners and ids."""
        rows = self._database.execute(
            "SELECT owner, subject, alliance, data FROM delivered WHERE book=? AND name=? ORDER BY 1, 2, 3", self._of
        )
        for owner, subject, alliance, data in rows:
            yield (owner, subject, alliance), data
