"""A batch's records straight from its bytes.

`offsets_and_values` is for those who need neither keys nor headers: aiokafka makes an object and up to eight headers of
every record, which takes four times as long. `whole_records` is for what strangers wrote: to a broker a header's name
is bytes, and aiokafka cannot go on behind one that is no text. Layout: https://kafka.apache.org/documentation/#recordbatch
"""

from collections.abc import Iterator
from typing import NamedTuple

from aiokafka.record.default_records import DefaultRecordBase, DefaultRecordBatch

_HEAD_BYTES = DefaultRecordBase.HEADER_STRUCT.size
_COUNT_AT = _HEAD_BYTES - 4
_MORE = 0x80
"""Set in each byte of a number but its last."""


class WholeRecord(NamedTuple):
    """A record, with aiokafka's names. What is no UTF-8 in a header's name is replaced (U+FFFD)."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class MalformedBatch(OSError):
    """A batch's checksum is right, and its records still are not what they should be."""


def is_plain(batch: object) -> bool:
    """Whether a batch is neither compressed nor of an old format, and the time is the broker's: one for all."""
    return (
        isinstance(batch, DefaultRecordBatch)
        and batch.compression_type == DefaultRecordBatch.CODEC_NONE
        and batch.timestamp_type == DefaultRecordBase.LOG_APPEND_TIME
    )


def offsets_and_values(batch: bytes) -> tuple[list[int], list[bytes]]:  # noqa: PLR0912  # no calls, see below
    """Return what a plain batch holds. An absent value is empty. Raises `MalformedBatch`."""
    base = int.from_bytes(batch[:8], "big")
    offsets: list[int] = []
    values: list[bytes] = []
    at = _HEAD_BYTES
    try:
        for _ in range(int.from_bytes(batch[_COUNT_AT:_HEAD_BYTES], "big")):
            # The usual form of each number is read here, without a call: that takes half the time.
            if (first := batch[at]) >= _MORE > (second := batch[at + 1]):
                end = at + 2 + (first - _MORE + (second << 7) >> 1)
                at += 2
            else:
                size, at = _number(batch, at)
                end = at + size
            at += 1  # attributes, of which there are none
            while batch[at] >= _MORE:  # what the producer's clock said
                at += 1
            at += 1
            if (first := batch[at]) < _MORE:
                delta = first >> 1
                at += 1
            else:
                delta, at = _number(batch, at)
            if (first := batch[at]) < _MORE and not first & 1:
                at += 1 + (first >> 1)
            else:
                size, at = _number(batch, at)
                at += max(0, size)
            if (first := batch[at]) >= _MORE > (second := batch[at + 1]) and not first & 1:
                until = at + 2 + (first - _MORE + (second << 7) >> 1)
                at += 2
            else:
                size, at = _number(batch, at)
                until = at + max(0, size)
            if until > end:
                raise MalformedBatch(f"A value ends beyond its record, at byte {at} of the batch")
            offsets.append(base + delta)
            values.append(batch[at:until])
            at = end
    except IndexError:
        raise MalformedBatch(f"A record ends beyond its batch, at byte {at}") from None
    if at != len(batch):
        raise MalformedBatch(f"The last record ends at byte {at} of {len(batch)}")
    return offsets, values


def whole_records(batch: bytes, at_ms: int) -> Iterator[WholeRecord]:
    """Yield what a plain batch holds, recorded at `at_ms`. An absent header is empty. Raises `MalformedBatch`."""
    base = int.from_bytes(batch[:8], "big")
    at = _HEAD_BYTES
    try:
        for _ in range(int.from_bytes(batch[_COUNT_AT:_HEAD_BYTES], "big")):
            size, at = _number(batch, at)
            end = at + size
            _, at = _number(batch, at + 1)
            delta, at = _number(batch, at)
            key, at = _text(batch, at, end)
            value, at = _text(batch, at, end)
            count, at = _number(batch, at)
            headers = []
            for _ in range(count):
                name, at = _text(batch, at, end)
                content, at = _text(batch, at, end)
                headers.append(((name or b"").decode("utf-8", "replace"), content or b""))
            yield WholeRecord(base + delta, at_ms, key, value, headers)
            at = end
    except IndexError:
        raise MalformedBatch(f"A record ends beyond its batch, at byte {at}") from None


def _text(data: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    size, at = _number(data, at)
    if size < 0:
        return None, at
    if at + size > end:
        raise MalformedBatch(f"A text ends beyond its record, at byte {at} of the batch")
    return data[at : at + size], at + size


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at a place, and where it ends."""
    found, shift = 0, 0
    while (part := data[at]) >= _MORE:
        found |= (part - _MORE) << shift
        shift += 7
        at += 1
    found |= part << shift
    return found >> 1 ^ -(found & 1), at + 1
