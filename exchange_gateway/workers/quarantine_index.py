"""What stands in quarantine, by participant: an index of `quarantine`."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import apsw

from broker_adapters.log import Record
from exchange_gateway.core.quarantine import participant_of
from exchange_gateway.workers.topic_index import TopicIndex, of_participants
from schemas.identifiers import QUARANTINE_TOPIC


class Entry(NamedTuple):
    """A record of `quarantine`."""

    offset: int
    recorded_at_ms: int
    value: bytes


class QuarantineIndex(TopicIndex):
    """See the module."""

    topic = QUARANTINE_TOPIC
    file_name = "quarantine-index.sqlite3"
    tables = """
        CREATE TABLE entry (
            participant TEXT NOT NULL, offset INTEGER NOT NULL, recorded_at_ms INTEGER NOT NULL, value BLOB NOT NULL,
            PRIMARY KEY (participant, offset)
        ) STRICT, WITHOUT ROWID;
        CREATE UNIQUE INDEX entry_by_offset ON entry (offset)
    """

    def take(self, connection: apsw.Connection, records: Sequence[Record]) -> None:
        """Add records of `quarantine`."""
        connection.executemany(
            "INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?)",
            ((participant_of(one), one.offset, one.recorded_at_ms, one.value) for one in records),
        )

    async def page(
        self, participants: Iterable[str] | None, *, since_ms: int, before: int | None, limit: int
    ) -> list[Entry]:
        """Return the newest entries of some participants, or of all, newest first.

        since_ms: recorded at or after this. before: below this offset. Raises `IndexBehind`, `LogError`.
        """
        await self.fresh()
        return await self.in_thread(self._page, participants, since_ms, before, limit)

    def _page(self, participants: Iterable[str] | None, since_ms: int, before: int | None, limit: int) -> list[Entry]:
        theirs, whose = of_participants(participants)
        rows = self.opened().execute(
            f"SELECT offset, recorded_at_ms, value FROM entry WHERE {theirs} AND offset < ? AND recorded_at_ms >= ?"  # noqa: S608
            " ORDER BY offset DESC LIMIT ?",
            (*whose, 2**62 if before is None else before, since_ms, limit),
        )
        return [Entry(*row) for row in rows]
