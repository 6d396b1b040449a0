"""Where the events with an id stand, and where those of a thing: an index of the `pub` topics, on disk, from the log.

The index of known events finds an event by its source and id together. This one answers whoever knows only the id, or
asks for everything about one thing, without reading a topic through. The file can be thrown away at any time.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from broker_adapters.log import Log, OffsetOutOfRange, Reader, Record
from exchange_gateway.telemetry import log_event
from exchange_gateway.workers.fresh_topics import FreshTopics
from exchange_gateway.workers.local_index import DAMAGED, FRESH_S_MAX, IndexBehind, LocalIndex
from exchange_gateway.workers.places import Place
from exchange_gateway.workers.read_models import Pace
from schemas.identifiers import parse_data_topic

FILE_NAME = "event-index.sqlite3"
FORMAT = 1

IDLE_S = 5.0
"""How often the topics' ends are looked at while nobody waits: whoever asks has the index look at once."""

READ_TIMEOUT_S = 5.0

SCHEMA = """
CREATE TABLE topic (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, next INTEGER NOT NULL) STRICT;
CREATE TABLE place (digest INTEGER NOT NULL, topic INTEGER NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (digest, topic, place)) STRICT, WITHOUT ROWID
"""


class EventIndex:
    """See the module. `run` keeps it current; it may be stopped and started again.

    secret: what the digests are keyed with, so that nobody can choose ids that collide. Equal digests prove nothing:
    whoever gets a place reads what stands there.
    """

    def __init__(self, log: Log, folder: Path, instance: str, secret: bytes) -> None:
        self._log = log
        self._file = LocalIndex(folder / FILE_NAME, instance, number=FORMAT, schema=SCHEMA, cache_kib=8192)
        self._hashing = blake2b(digest_size=8, key=secret)
        self._positions: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._topics = FreshTopics(log)
        self._stepped = asyncio.Condition()
        self._pace = Pace()
        self._asked = asyncio.Event()

    async def open(self) -> None:
        """Open the file; one that is damaged, another instance's or of another format is made anew."""
        await self._file.open()
        await self._file.use(self._read_positions)

    def _read_positions(self) -> None:
        rows: Any = self._file.connection.execute("SELECT name, number, next FROM topic").fetchall()
        self._numbers = {name: number for name, number, _ in rows}
        self._positions = {name: following for name, _, following in rows}

    async def close(self) -> None:
        """Let go of the file. Closing twice is fine."""
        await self._file.close()

    async def run(self) -> None:
        """Follow the log until cancelled. Raises `LogError`."""
        while True:
            try:
                while True:
                    await self._step()
            except (OffsetOutOfRange, *DAMAGED) as error:
                # The log is an older copy of what it was, or another one.
                log_event("read_model_rebuilt", "warning", reason=str(error)[:300])
                self._positions, self._numbers = {}, {}
                await self._file.begin_anew()

    async def _step(self) -> None:
        """Read all that is in the log now, or wait a while where that is known already."""
        self._asked.clear()
        topics = sorted(topic for topic in await self._topics.get() if _is_published(topic))
        ends = await self._log.ends(topics)
        self._pace.observe(sum(ends.values()), asyncio.get_running_loop().time())
        behind = {topic: end for topic, end in ends.items() if self._positions.get(topic, 0) < end}
        if behind:
            starts = {topic: max(self._positions.get(topic, 0), await self._log.first(topic)) for topic in behind}
            async with self._log.reader(starts) as reader:
                await self._read_to(behind, reader)
        try:
            async with asyncio.timeout(IDLE_S):
                await self._asked.wait()
        except TimeoutError:
            return

    async def _read_to(self, ends: Mapping[str, int], reader: Reader) -> None:
        loop = asyncio.get_running_loop()
        while any(position < ends[topic] for topic, position in reader.positions().items()):
            records = await reader.poll(records_max=self._pace.records_max, timeout_s=READ_TIMEOUT_S)
            positions = reader.positions()
            began_s = loop.time()
            await self._file.use(self._take, records, dict(positions))
            async with self._stepped:
                self._positions |= positions
                self._stepped.notify_all()
            await self._pace.pause(loop.time() - began_s)

    def _take(self, records: Sequence[Record], positions: Mapping[str, int]) -> None:
        connection = self._file.connection
        with connection:
            for topic, following in positions.items():
                number = self._numbers.setdefault(topic, len(self._numbers) + 1)
                connection.execute("REPLACE INTO topic VALUES (?, ?, ?)", (number, topic, following))
            rows = [row for record in records for row in self._rows(record)]
            # In the order of the file, which touches each of its pages once.
            connection.executemany("INSERT OR IGNORE INTO place VALUES (?, ?, ?)", sorted(rows))

    def _rows(self, record: Record) -> list[tuple[int, int, int]]:
        number = self._numbers[record.topic]
        try:
            event = orjson.loads(record.value)
            texts = (_id_text(event["id"]), _thing_text(record.topic, event["subject"]))
            return [(self._digest(text), number, record.offset) for text in texts]
        except (KeyError, TypeError, ValueError):
            # Only Kommunebro writes there, but an operator may have let others; the index must not stop at that.
            return []

    def _digest(self, text: str) -> int:
        hashed = self._hashing.copy()
        hashed.update(text.encode())
        return int.from_bytes(hashed.digest(), "big") >> 1

    async def with_id(self, event_id: str, participants: Collection[str] | None, limit: int) -> list[Place]:
        """Return where events with an id may stand, of some participants or of all, in the log's order.

        Raises `IndexBehind`, `LogError`.
        """
        wanted = {topic for topic in await self._topics.get() if _is_published(topic, participants)}
        await self._caught_up(wanted)
        return await self._file.use(self._find, self._digest(_id_text(event_id)), wanted, -1, limit)

    async def of_thing(self, topic: str, subject: str, after: int, limit: int) -> list[Place]:
        """Return where the events of a thing may stand, behind an offset, in order. Raises as `with_id`."""
        # On Kafka a list of all topics takes longer than all else here, and this one is most often known.
        await self._caught_up({topic} if topic in self._positions else {topic} & await self._topics.get())
        return await self._file.use(self._find, self._digest(_thing_text(topic, subject)), {topic}, after, limit)

    async def _caught_up(self, topics: Collection[str]) -> None:
        """Wait until all that is in the log now is in the index."""
        ends = await self._log.ends(sorted(topics))
        if all(self._positions.get(topic, 0) >= end for topic, end in ends.items()):
            return
        self._pace.wait()
        self._asked.set()
        try:
            async with asyncio.timeout(FRESH_S_MAX), self._stepped:
                await self._stepped.wait_for(
                    lambda: all(self._positions.get(topic, 0) >= end for topic, end in ends.items())
                )
        except TimeoutError:
            raise IndexBehind from None
        finally:
            self._pace.waited()

    def _find(self, digest: int, topics: Collection[str], after: int, limit: int) -> list[Place]:
        query = (
            "SELECT name, place FROM place JOIN topic ON number = topic WHERE digest = ? AND place > ?"
            " ORDER BY name, place"
        )
        rows = self._file.connection.execute(query, (digest, after))
        return list(islice(((str(name), int(place)) for name, place in rows if name in topics), limit))


def _id_text(event_id: str) -> str:
    return f"event {event_id}"


def _thing_text(topic: str, subject: str) -> str:
    return f"thing {topic} {subject}"


def _is_published(topic: str, participants: Collection[str] | None = None) -> bool:
    parts = parse_data_topic(topic)
    return parts is not None and parts.space == "pub" and (participants is None or parts.holder in participants)
