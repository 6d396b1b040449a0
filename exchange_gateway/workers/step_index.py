"""Which step of the forwarder decided on which event: an index of `audit.forwarding`.

For each topic and step it holds where the step's share of the topic ended.
"""

from collections.abc import Sequence

import apsw
import orjson

from broker_adapters.log import Record
from exchange_gateway.workers.topic_index import FRESH_S_MAX, TopicIndex
from schemas.identifiers import FORWARDING_TOPIC


class StepIndex(TopicIndex):
    """See the module."""

    topic = FORWARDING_TOPIC
    file_name = "forwarding-index.sqlite3"
    tables = """
        CREATE TABLE topic (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
        CREATE TABLE step (
            topic INTEGER NOT NULL, ends INTEGER NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (topic, ends)
        ) STRICT, WITHOUT ROWID
    """

    def take(self, connection: apsw.Connection, records: Sequence[Record]) -> None:
        """Add the steps that `records` tell of."""
        rows = [
            (taken["topic"], taken["to"], record.offset)
            for record in records
            for taken in orjson.loads(record.value)["inputs"]
        ]
        names = {(name,): None for name, _, _ in rows}.keys()
        connection.executemany("INSERT OR IGNORE INTO topic (name) VALUES (?)", names)
        connection.executemany("INSERT OR IGNORE INTO step SELECT number, ?2, ?3 FROM topic WHERE name = ?1", rows)

    async def step_of(self, topic: str, offset: int) -> Record | None:
        """Return the record of the first step that went past an event; None when there is none yet.

        Raises `IndexBehind`, `LogError`.
        """
        await self.fresh()
        step = await self.in_thread(self._find, topic, offset)
        if step is None:
            return None
        async with self._log.reader({FORWARDING_TOPIC: step}) as reader:
            records = await reader.poll(records_max=1, timeout_s=FRESH_S_MAX)
        return records[0] if records else None

    def _find(self, topic: str, offset: int) -> int | None:
        row = (
            self.opened()
            .execute(
                "SELECT step FROM step WHERE topic = (SELECT number FROM topic WHERE name = ?) AND ends > ?"
                " ORDER BY ends LIMIT 1",
                (topic, offset),
            )
            .fetchone()
        )
        return None if row is None else int(row[0])
