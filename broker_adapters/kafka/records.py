"""What a broker sends for a fetch, as records of the log: committed ones only, decoded as they are taken."""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.memory_records import MemoryRecords

from broker_adapters.log import Record


class Fetched:
    """The records of one topic that one fetch brought.

    `position` is where to read on: past the records that were taken, and past what holds none (the
    transactions' markers, what was rolled back, what compaction took away).
    """

    def __init__(self, topic: str, begin: int, data: bytes, aborted: list[tuple[int, int]] | None) -> None:
        self.topic = topic
        self.position = begin
        self._batches = MemoryRecords(data)
        # aiokafka's book-keeping of which transactions were rolled back; its own decoding is not used.
        self._transactions: Any = PartitionRecords(
            None,
            self._batches,
            aborted,
            begin,
            None,
            None,
            True,
            READ_COMMITTED,
        )
        self._records = self._decoded()
        self._ahead: Record | None = None

    def take(self, records: list[Record], records_max: int, room_bytes: int) -> int:
        """Move records to the end of `records` while there is room, and return the bytes they took.

        The first of all is taken however large it is.
        """
        taken_bytes = 0
        while len(records) < records_max:
            record = self._ahead or next(self._records, None)
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

    @property
    def spent(self) -> bool:
        """Whether every record has been taken."""
        if self._ahead is None:
            self._ahead = next(self._records, None)
        return self._ahead is None

    def _decoded(self) -> Iterator[Record]:
        topic, begin = self.topic, self.position
        while self._batches.has_next():
            batch = self._batches.next_batch()
            if not batch.validate_crc():
                raise OSError(f"A batch of {topic} after offset {self.position} arrived damaged")
            if self._is_committed(batch):
                for record in batch:
                    # A batch is sent whole, also where the fetch began inside of it.
                    if record.offset >= begin:
                        yield Record(
                            topic,
                            record.offset,
                            record.timestamp,
                            record.key,
                            record.value or b"",
                            tuple(record.headers),
                        )
            self.position = batch.next_offset

    def _is_committed(self, batch: Any) -> bool:
        if batch.producer_id is None or not batch.is_transactional:
            return not batch.is_control_batch
        transactions = self._transactions
        transactions._consume_aborted_up_to(batch.base_offset)  # noqa: SLF001
        if batch.is_control_batch:
            if transactions._contains_abort_marker(batch):  # noqa: SLF001
                transactions._aborted_producers.discard(batch.producer_id)  # noqa: SLF001
            return False
        return batch.producer_id not in transactions._aborted_producers  # noqa: SLF001
