"""What a broker sends for a fetch, as records of the log: committed ones only, decoded as they are taken."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import repeat
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.memory_records import MemoryRecords

from broker_adapters.kafka.plain_batches import is_plain, offsets_and_values, whole_records
from broker_adapters.kafka.settings import MAILBOX
from broker_adapters.log import PAGE_RECORDS, READ_BYTES, Page, Record

_LENGTH_BEGINS, _LENGTH_ENDS = 8, 12
"""Where a batch says how much of it follows."""


class Fetched:
    """The records of one topic that one fetch brought.

    `position` is where to read on: past the records that were taken, and past what holds none (the
    transactions' markers, what was rolled back, what compaction took away).

    Nothing here refers back to it, so that its megabytes are freed as soon as it is let go of: the collector looks
    rarely, by counting objects, and these are few and large. aiokafka's `PartitionRecords` refers to itself.
    """

    def __init__(self, topic: str, begin: int, data: bytes, aborted: list[tuple[int, int]] | None) -> None:
        self.topic = topic
        self.position = begin
        self._data = data
        self._at = 0
        self._batches = MemoryRecords(data)
        self._rolled_back = RolledBack(aborted or [])
        self._begin = begin
        self._batch: Any = None
        self._following = begin
        self._batch_begins = 0
        self._one_by_one = False
        self._is_foreign = topic.startswith(MAILBOX)
        self._ahead: Record | None = None

    def take(self, records: list[Record], records_max: int, room_bytes: int) -> int:
        """Move records to the end of `records` while there is room, and return the bytes they took.

        The first of all is taken however large it is.
        """
        self._one_by_one = True
        taken_bytes = 0
        while len(records) < records_max:
            record = self._ahead or self._next()
            self._ahead = None
            if record is None:
                break
            size = len(record.value) + len(record.key or b"")
            if records and taken_bytes + size > room_bytes:
                self._ahead = record
                break
            records.append(record)
            taken_bytes += size
            self.position = record.offset + 1
        return taken_bytes

    def page(self) -> Page | None:
        """Take what comes next, some `PAGE_RECORDS`, or None when every record has been taken.

        Raises what `take` raises, once what stands before the damage has been taken.
        """
        page = Page(self.topic, [], [], [])
        try:
            if self._one_by_one:
                self._add_records(page)
            while not self._one_by_one and self._batches.has_next() and len(page.offsets) < PAGE_RECORDS:
                self._add_batch(page)
        except (KafkaError, OSError):
            if not page.offsets:
                raise
            # What follows is fetched again; then it is seen whether it is still damaged.
            self._batches, self._batch = MemoryRecords(b""), None
        return page if page.offsets else None

    def _add_records(self, page: Page) -> None:
        records: list[Record] = []
        try:
            self.take(records, PAGE_RECORDS, READ_BYTES)
        finally:
            _extend(page, records)

    def _add_batch(self, page: Page) -> None:
        batch = self._next_batch()
        if not self._rolled_back.is_committed(batch):
            pass
        elif is_plain(batch):
            offsets, values = offsets_and_values(self._bytes_of_batch())
            # A batch is sent whole, also where the fetch began inside of it.
            skipped = bisect_left(offsets, self.position)
            page.offsets.extend(offsets[skipped:])
            page.times_ms.extend(repeat(batch.max_timestamp, len(offsets) - skipped))
            page.values.extend(values[skipped:])
        else:
            _extend(page, (self._record(found) for found in batch if found.offset >= self.position))
        self.position = batch.next_offset

    @property
    def spent(self) -> bool:
        """Whether every record has been taken."""
        if self._ahead is None:
            self._ahead = self._next()
        return self._ahead is None

    def _next(self) -> Record | None:
        """Return the next committed record; None after the last."""
        while self._batch is not None or self._batches.has_next():
            if self._batch is None:
                batch = self._next_batch()
                if not self._rolled_back.is_committed(batch):
                    self.position = batch.next_offset
                    continue
                self._batch = self._records_of(batch)
            while (found := next(self._batch, None)) is not None:
                # A batch is sent whole, also where the fetch began inside of it.
                if found.offset >= self._begin:
                    return self._record(found)
            self.position, self._batch = self._following, None
        return None

    def _records_of(self, batch: Any) -> Any:
        self._following = batch.next_offset
        if not self._is_foreign or not is_plain(batch):
            return iter(batch)
        return whole_records(self._bytes_of_batch(), batch.max_timestamp)

    def _bytes_of_batch(self) -> bytes:
        return self._data[self._batch_begins : self._at]

    def _next_batch(self) -> Any:
        begin = self._batch_begins = self._at
        self._at += _LENGTH_ENDS + int.from_bytes(self._data[begin + _LENGTH_BEGINS : begin + _LENGTH_ENDS], "big")
        batch = self._batches.next_batch()
        if not batch.validate_crc():
            raise OSError(f"A batch of {self.topic} after offset {self.position} arrived damaged")
        return batch

    def _record(self, found: Any) -> Record:
        key, value, headers = found.key, found.value or b"", tuple(found.headers)
        return Record(self.topic, found.offset, found.timestamp, key, value, headers)


class RolledBack:
    """Which batches of a fetch belong to transactions that were rolled back.

    aborted: the producer's id and the first offset of each such transaction, as the broker tells them.
    """

    def __init__(self, aborted: list[tuple[int, int]]) -> None:
        self._to_begin = sorted(aborted, key=lambda transaction: transaction[1], reverse=True)
        self._producers: set[int] = set()

    def is_committed(self, batch: Any) -> bool:
        """Whether a batch holds records that count. It is asked of each batch, in their order."""
        if batch.producer_id is None or not batch.is_transactional:
            return not batch.is_control_batch
        while self._to_begin and self._to_begin[-1][1] <= batch.base_offset:
            self._producers.add(self._to_begin.pop()[0])
        if batch.is_control_batch:
            if ControlRecord.parse(next(iter(batch)).key) == ABORT_MARKER:
                self._producers.discard(batch.producer_id)
            return False
        return batch.producer_id not in self._producers


def _extend(page: Page, records: Iterable[Record]) -> None:
    for _, offset, at_ms, _, value, _ in records:
        page.offsets.append(offset)
        page.times_ms.append(at_ms)
        page.values.append(value)
