"""What each connector last told of itself: an index of `control.connectors`."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import apsw

from broker_adapters.log import Record
from exchange_gateway.core.connectors import ConnectorKey, key_of_record
from exchange_gateway.workers.topic_index import TopicIndex, of_participants
from schemas.identifiers import CONNECTORS_TOPIC

_KEY = "participant, system, name"


class Told(NamedTuple):
    """A connector's newest report."""

    key: ConnectorKey
    recorded_at_ms: int
    value: bytes


class ConnectorIndex(TopicIndex):
    """See the module."""

    topic = CONNECTORS_TOPIC
    file_name = "connector-index.sqlite3"
    tables = """
        CREATE TABLE connector (
            participant TEXT NOT NULL, system TEXT NOT NULL, name TEXT NOT NULL, recorded_at_ms INTEGER NOT NULL,
            value BLOB NOT NULL, PRIMARY KEY (participant, system, name)
        ) STRICT, WITHOUT ROWID
    """

    def take(self, connection: apsw.Connection, records: Sequence[Record]) -> None:
        """Keep each connector's newest report."""
        connection.executemany(
            "INSERT OR REPLACE INTO connector VALUES (?, ?, ?, ?, ?)",
            ((*key_of_record(one), one.recorded_at_ms, one.value) for one in records),
        )

    async def page(self, participants: Iterable[str] | None, *, after: ConnectorKey | None, limit: int) -> list[Told]:
        """Return the connectors of some participants, or all, in the order of their keys, behind `after`.

        Raises `IndexBehind`, `LogError`.
        """
        await self.fresh()
        return await self.in_thread(self._page, participants, after, limit)

    def _page(self, participants: Iterable[str] | None, after: ConnectorKey | None, limit: int) -> list[Told]:
        theirs, whose = of_participants(participants)
        rows = self.opened().execute(
            f"SELECT {_KEY}, recorded_at_ms, value FROM connector WHERE ({_KEY}) > (?, ?, ?) AND {theirs}"  # noqa: S608
            f" ORDER BY {_KEY} LIMIT ?",
            (*(after or ("", "", "")), *whose, limit),
        )
        return [Told(ConnectorKey(*key), recorded_at_ms, value) for *key, recorded_at_ms, value in rows]
