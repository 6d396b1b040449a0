"""What a fetch brought is let go of at once."""

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from broker_adapters.kafka.records import Fetched
from broker_adapters.log import Record


def fetched() -> Fetched:
    """Return a fetch of two batches of two records."""
    data = b""
    for base in (0, 2):
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
        for offset in (0, 1):
            builder.append(offset, 7, None, b"value", [])
        data += base.to_bytes(8, "big") + bytes(builder.build())[8:]
    return Fetched("t", 0, data, None)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Keep the collector of garbage away."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    "read",
    [
        lambda part: None,
        lambda part: part.page(),
        lambda part: part.take([], 1, 100),
        lambda part: part.spent,
        lambda part: part.take([], 100, 10_000),
    ],
    ids=["untouched", "a page", "a record", "looked ahead", "all"],
)
def test_its_memory_is_freed_without_the_collector(read: Callable[[Fetched], object]) -> None:
    """The collector counts objects, and a fetch is few of them but megabytes."""
    part = fetched()
    read(part)
    gone = weakref.ref(part)
    del part
    assert gone() is None


def test_records_are_taken_in_order() -> None:
    """One by one, across batches, with the place to read on."""
    part, taken = fetched(), list[Record]()
    places = []
    while not part.spent:
        part.take(taken, len(taken) + 1, 10_000)
        places.append(part.position)
    assert [record.offset for record in taken] == [0, 1, 2, 3]
    assert places[-1] == 4
