"""Which events the log holds already: (source, id) to place and digest. Local, and rebuilt from the log.

The newest ids are in memory and the older ones in an SQLite file, so that memory stays flat whatever
the log's size. The file also spares a restart from reading the whole log: it holds, with its entries,
how far in each topic they reach. Losing or deleting it costs time, nothing else.
"""

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

FILE_NAME = "known-events.sqlite3"
FORMAT = 1

GENERATION_EVENTS = 200_000
"""Ids held in memory before they move to the file: some 25 MB, twice while they move."""

PARTS = 64
"""A large dict stalls up to 19 ms when it grows; 64 smaller ones 0.4 ms."""

CHUNK_ENTRIES = 1_000
"""Entries written at once while a generation moves, so that publishing is not held up for long."""

_LOOKUP_MAX = 500
_OFFSET_BITS, _TOPIC_BITS = 40, 20


class Known(NamedTuple):
    """Where an event with this source and id stands, and the 60-bit digest of its content."""

    topic: str
    offset: int
    digest: int


def known_key(source: str, event_id: str, secret: bytes) -> int:
    """Return 60 bits that stand for (source, id). Keyed, so that nobody can choose two that collide."""
    hashed = _keyed(secret).copy()
    hashed.update(f"{source}\0{event_id}".encode())
    return int.from_bytes(hashed.digest(), "big") >> 4


@lru_cache(maxsize=8)
def _keyed(secret: bytes) -> blake2b:
    """Return a hash that has taken in the key, so that it need not be done for each event."""
    return blake2b(digest_size=8, key=secret)


class KnownEvents:
    """The index. All but the moving of a generation happens in the event loop's thread."""

    def __init__(self, folder: Path, instance: str) -> None:
        self._path = folder / FILE_NAME
        self._instance = instance
        self._topics: list[str] = []
        self._topic_numbers: dict[str, int] = {}
        self._recent: list[dict[int, int]] = [{} for _ in range(PARTS)]
        self._moving: list[dict[int, int]] | None = None
        self._mover: asyncio.Task[None] | None = None
        self._count = 0
        self._archived = 0
        self.positions: dict[str, int] = {}
        self._reading: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file; one that is damaged, or another instance's, is begun anew."""
        try:
            self._open_file()
        except sqlite3.DatabaseError:
            self.forget()

    def _open_file(self) -> None:
        self._reading = _connect(self._path)
        stored = dict(self._reading.execute("SELECT name, value FROM about").fetchall())
        if stored != {} and stored != {"format": str(FORMAT), "instance": self._instance}:
            raise sqlite3.DatabaseError("of another instance or format")
        self._reading.executemany(
            "INSERT OR IGNORE INTO about VALUES (?, ?)", [("format", str(FORMAT)), ("instance", self._instance)]
        )
        for number, topic, position in self._reading.execute(
            "SELECT number, topic, position FROM topics ORDER BY number"
        ):
            if number != len(self._topics):
                raise sqlite3.DatabaseError("topics are not numbered one after another")
            self._number_of(topic)
            self.positions[topic] = position
        self._archived = self._reading.execute("SELECT count(*) FROM (SELECT 1 FROM known LIMIT 1)").fetchone()[0]

    def forget(self) -> None:
        """Throw everything away, so that it is built anew from the log."""
        self._close_file()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._topics.clear()
        self._topic_numbers.clear()
        self.positions.clear()
        self._recent = [{} for _ in range(PARTS)]
        self._moving, self._count = None, 0
        self._open_file()

    def __len__(self) -> int:
        """Return how many ids are in memory."""
        return self._count

    def find(self, keys: Iterable[int]) -> dict[int, Known]:
        """Return what is known of each key; unknown ones are left out."""
        found: dict[int, Known] = {}
        missing: list[int] = []
        for key in keys:
            packed = self._recent[key % PARTS].get(key)
            if packed is None and self._moving is not None:
                packed = self._moving[key % PARTS].get(key)
            if packed is None:
                missing.append(key)
            else:
                found[key] = self._unpack(packed)
        if missing and self._archived:
            for begin in range(0, len(missing), _LOOKUP_MAX):
                self._find_archived(missing[begin : begin + _LOOKUP_MAX], found)
        return found

    def _find_archived(self, keys: list[int], found: dict[int, Known]) -> None:
        assert self._reading is not None  # noqa: S101  # open() came first
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, digest, topic, position FROM known WHERE key IN ({marks})"  # noqa: S608  # only marks
        for key, content, topic, offset in self._reading.execute(query, keys):
            found[key] = Known(self._topics[topic], offset, content)

    def add(self, key: int, known: Known) -> None:
        """Remember an event; of two with the same key the first in the log counts."""
        part = self._recent[key % PARTS]
        packed = part.get(key)
        if packed is None:
            part[key] = self._pack(known)
            self._count += 1
        else:
            before = self._unpack(packed)
            if before.topic == known.topic and known.offset < before.offset:
                part[key] = self._pack(known)

    def add_all(self, topic: str, entries: Iterable[tuple[int, int, int]]) -> None:
        """Remember events of one topic: (key, offset, digest) of each."""
        number, recent, count = self._number_of(topic), self._recent, 0
        for key, offset, content in entries:
            part = recent[key % PARTS]
            if key in part:
                # Another gateway took the same event in meanwhile.
                self.add(key, Known(topic, offset, content))
            else:
                part[key] = (content << _OFFSET_BITS | offset) << _TOPIC_BITS | number
                count += 1
        self._count += count

    def _number_of(self, topic: str) -> int:
        number = self._topic_numbers.get(topic)
        if number is None:
            number = self._topic_numbers[topic] = len(self._topics)
            self._topics.append(topic)
        return number

    def _pack(self, known: Known) -> int:
        # One integer of 48 bytes: a million entries take some 120 MB where tuples would take 300.
        packed = (known.digest << _OFFSET_BITS | known.offset) << _TOPIC_BITS
        return packed | self._number_of(known.topic)

    def _unpack(self, packed: int) -> Known:
        topic = packed & ((1 << _TOPIC_BITS) - 1)
        offset = packed >> _TOPIC_BITS & ((1 << _OFFSET_BITS) - 1)
        return Known(self._topics[topic], offset, packed >> (_TOPIC_BITS + _OFFSET_BITS))

    def advance(self, topic: str, begin: int, end: int) -> None:
        """Say that `begin` up to (not including) `end` is indexed; a gap before it stays to be read."""
        self._number_of(topic)
        if self.positions.get(topic, 0) >= begin:
            self.positions[topic] = max(self.positions.get(topic, 0), end)
        if self._count >= GENERATION_EVENTS and (self._mover is None or self._mover.done()):
            self._mover = asyncio.get_running_loop().create_task(self._move())

    async def _move(self) -> None:
        """Move the ids in memory to the file, beside the publishing that goes on."""
        generation, self._recent = self._recent, [{} for _ in range(PARTS)]
        self._moving, self._count = generation, 0
        positions, topics = dict(self.positions), list(self._topics)
        await asyncio.shield(asyncio.to_thread(_write_generation, self._path, generation, topics, positions))
        self._archived, self._moving = 1, None

    async def close(self) -> None:
        """Write what is in memory, so that the next start need not read it from the log."""
        if self._mover is not None:
            with suppress(sqlite3.Error):
                await self._mover
        if self._count and self._reading is not None:
            with suppress(sqlite3.Error):
                await self._move()
        self._close_file()

    def _close_file(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    # The log is the truth: after a crash the file may lack its last transactions, and they are read again.
    connection.executescript(
        "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16384;"
        "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS topics"
        " (number INTEGER PRIMARY KEY, topic TEXT NOT NULL, position INTEGER NOT NULL);"
        "CREATE TABLE IF NOT EXISTS known (key INTEGER PRIMARY KEY, digest INTEGER NOT NULL,"
        " topic INTEGER NOT NULL, position INTEGER NOT NULL);"
    )
    return connection


def _write_generation(
    path: Path, generation: list[dict[int, int]], topics: list[str], positions: Mapping[str, int]
) -> None:
    """Write a generation in the order of its keys, which touches each page of the file once."""
    offset_mask, topic_mask = (1 << _OFFSET_BITS) - 1, (1 << _TOPIC_BITS) - 1
    connection = _connect(path)
    try:
        keys = sorted(key for part in generation for key in part)
        for begin in range(0, len(keys), CHUNK_ENTRIES):
            rows = []
            for key in keys[begin : begin + CHUNK_ENTRIES]:
                packed = generation[key % PARTS][key]
                place = packed >> _TOPIC_BITS
                rows.append((key, place >> _OFFSET_BITS, packed & topic_mask, place & offset_mask))
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO known VALUES (?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
            # Let the event loop's thread have the interpreter between two chunks.
            time.sleep(0.002)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT OR REPLACE INTO topics VALUES (?, ?, ?)",
            [(number, topic, positions.get(topic, 0)) for number, topic in enumerate(topics)],
        )
        connection.execute("COMMIT")
    finally:
        connection.close()
