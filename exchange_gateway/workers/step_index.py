"""Which step of the forwarder decided on which event: an index of `audit.forwarding`.

For each topic and step it holds where the step's share of the topic ended, and for each event that the forwarder
made itself the event that was its cause.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import apsw
import orjson

from broker_adapters.log import Log, Record
from exchange_gateway.core.forwarded import made_id
from exchange_gateway.core.routing import Form
from exchange_gateway.workers.places import Place, records_at
from exchange_gateway.workers.topic_index import TopicIndex
from schemas.identifiers import FORWARDING_TOPIC

_MADE = re.compile(r"because-([0-9a-f]{15})[0-9a-f]{17}")

CAUSES_MAX = 100
"""Events that are looked at for one id; equal digests alone would make more than one."""


class StepIndex(TopicIndex):
    """See the module."""

    topic = FORWARDING_TOPIC
    file_name = "forwarding-index.sqlite3"
    format = 2
    tables = """
        CREATE TABLE topic (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
        CREATE TABLE step (
            topic INTEGER NOT NULL, ends INTEGER NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (topic, ends)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE made (
            id INTEGER NOT NULL, topic INTEGER NOT NULL, cause INTEGER NOT NULL, PRIMARY KEY (id, topic, cause)
        ) STRICT, WITHOUT ROWID
    """

    def __init__(self, log: Log, folder: Path, instance: str) -> None:
        super().__init__(log, folder, instance)
        self._made: list[tuple[str, int, int]] = []

    async def prepare(self, records: Sequence[Record]) -> None:
        """Find out the ids of what the forwarder made in these steps: they follow from the causes' sources and ids."""
        causes = {
            (group["topic"], offset): None
            for record in records
            for group in orjson.loads(record.value)["forwarded"]
            if group["form"] == Form.RETRACTED
            for offset in group["offsets"]
        }
        self._made = []
        for cause in await records_at(self._log, list(causes)):
            if cause is not None:
                event = orjson.loads(cause.value)
                number = _number_of(made_id(event["source"], event["id"]))
                self._made += [] if number is None else [(cause.topic, number, cause.offset)]

    def take(self, connection: apsw.Connection, records: Sequence[Record]) -> None:
        """Add the steps that `records` tell of, and what `prepare` found in them."""
        rows = [
            (taken["topic"], taken["to"], record.offset)
            for record in records
            for taken in orjson.loads(record.value)["inputs"]
        ]
        names = {(name,): None for name, _, _ in rows}.keys()
        connection.executemany("INSERT OR IGNORE INTO topic (name) VALUES (?)", names)
        connection.executemany("INSERT OR IGNORE INTO step SELECT number, ?2, ?3 FROM topic WHERE name = ?1", rows)
        connection.executemany(
            "INSERT OR IGNORE INTO made SELECT ?2, number, ?3 FROM topic WHERE name = ?1", self._made
        )

    async def steps_of(self, topic: str, offsets: Sequence[int]) -> dict[int, Record]:
        """Return for each event the record of the first step that went past it; none where there is none yet.

        Raises `IndexBehind`, `LogError`.
        """
        await self.fresh()
        found = await self.in_thread(self._find, topic, offsets)
        numbers = sorted(set(found.values()))
        read = await records_at(self._log, [(FORWARDING_TOPIC, number) for number in numbers])
        steps = dict(zip(numbers, read, strict=True))
        return {offset: record for offset, step in found.items() if (record := steps[step]) is not None}

    def _find(self, topic: str, offsets: Sequence[int]) -> dict[int, int]:
        query = (
            "SELECT step FROM step WHERE topic = (SELECT number FROM topic WHERE name = ?) AND ends > ?"
            " ORDER BY ends LIMIT 1"
        )
        rows = {offset: self.opened().execute(query, (topic, offset)).fetchone() for offset in offsets}
        return {offset: int(row[0]) for offset, row in rows.items() if row is not None}

    async def causes_of(self, event_id: str) -> list[Place]:
        """Return where the events stand of which one can be the cause of an event that the forwarder made.

        Raises `IndexBehind`, `LogError`.
        """
        number = _number_of(event_id)
        if number is None:
            return []
        await self.fresh()
        return await self.in_thread(self._find_causes, number)

    def _find_causes(self, number: int) -> list[Place]:
        query = "SELECT name, cause FROM made JOIN topic ON number = topic WHERE id = ? ORDER BY name, cause LIMIT ?"
        return [(str(name), int(cause)) for name, cause in self.opened().execute(query, (number, CAUSES_MAX))]


def _number_of(event_id: str) -> int | None:
    """Return 60 bits of the id of an event that the forwarder made; None for any other id."""
    match = _MADE.fullmatch(event_id)
    return None if match is None else int(match[1], 16)
