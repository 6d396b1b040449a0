"""Our own reading of a batch gives what aiokafka's gives, and never more than the batch holds."""

import struct

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from broker_adapters.kafka.plain_batches import MalformedBatch, is_plain, offsets_and_values, whole_records

KEYS = st.none() | st.binary(max_size=100)
SIZES = st.sampled_from([0, 1, 63, 64, 65, 8_191, 8_192, 20_000])
VALUES = st.none() | SIZES.map(bytes) | st.binary(max_size=200)
TIMES = st.integers(0, 2**40)
RECORDS = st.lists(st.tuples(st.integers(1, 70), TIMES, KEYS, VALUES, st.integers(0, 3)), min_size=1, max_size=80)
TIMESTAMP_TYPE = 0x08


def built(records: list[tuple[int, int, bytes | None, bytes | None, int]], compression: int = 0) -> bytes:
    """Return a batch whose offsets have gaps, as a broker stamps it."""
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1 << 30)
    offset = 0
    for gap, at_ms, key, value, headers in records:
        builder.append(offset, at_ms, key, value, [("name", b"x")] * headers)
        offset += gap
    batch = bytearray(builder.build())
    struct.pack_into(">h", batch, 21, struct.unpack_from(">h", batch, 21)[0] | TIMESTAMP_TYPE)
    struct.pack_into(">q", batch, 0, 5_000_000_000)
    return bytes(batch)


@given(RECORDS)
def test_it_reads_what_aiokafka_reads(records: list[tuple[int, int, bytes | None, bytes | None, int]]) -> None:
    """Offsets with gaps, keys and values that are absent, empty, short and long, any headers and times."""
    batch = built(records)
    found = [(record.offset, record.value or b"") for record in DefaultRecordBatch(batch)]
    offsets, values = offsets_and_values(batch)
    assert list(zip(offsets, values, strict=True)) == found


@given(RECORDS, st.data())
def test_what_is_malformed_is_told_of(
    records: list[tuple[int, int, bytes | None, bytes | None, int]], data: st.DataObject
) -> None:
    """A batch that ends too early, or goes on too long, is not taken for a shorter one."""
    batch = built(records)
    with pytest.raises(MalformedBatch):
        offsets_and_values(batch[: data.draw(st.integers(61, len(batch) - 1))])
    with pytest.raises(MalformedBatch):
        offsets_and_values(batch + b"\0")


def test_others_are_left_to_aiokafka() -> None:
    """Compressed ones, and those that have their producer's times."""
    one = [(1, 7, None, b"value", 0)]
    assert is_plain(DefaultRecordBatch(built(one)))
    assert not is_plain(DefaultRecordBatch(built(one, DefaultRecordBatch.CODEC_GZIP)))
    stamped_by_its_producer = bytearray(built(one))
    stamped_by_its_producer[22] &= ~TIMESTAMP_TYPE
    assert not is_plain(DefaultRecordBatch(bytes(stamped_by_its_producer)))
    assert not is_plain(object())


@given(RECORDS)
def test_whole_records_are_what_aiokafka_reads(records: list[tuple[int, int, bytes | None, bytes | None, int]]) -> None:
    """With keys and headers too."""
    batch = built(records)
    found = [(one.offset, one.key, one.value, one.headers) for one in DefaultRecordBatch(batch)]
    assert [(one.offset, one.key, one.value, one.headers) for one in whole_records(batch, 7)] == found


def test_a_header_whose_name_is_no_text() -> None:
    """Aiokafka gives up on it, and on all that follows; here only the name is changed."""
    batch = built([(1, 7, b"key", b"value", 1), (1, 7, None, b"next", 0)]).replace(b"name", b"na\xff\xfe")
    with pytest.raises(UnicodeDecodeError):
        list(DefaultRecordBatch(batch))
    first, second = whole_records(batch, 7)
    assert first.headers == [("na\ufffd\ufffd", b"x")]
    assert second.value == b"next"
