"""When an event was taken in, however often it is asked."""

from broker_adapters.log import Record
from exchange_gateway.workers.taken_in import REMEMBERED_MAX, SHARED_RECORDS_MAX, TakenIn

AT = b'{"id":"1","recordedtime":"2026-11-23T08:05:%02dZ"}'
AT_S = 1_795_421_100.0


def record(offset: int, value: bytes, topic: str = "alliance.vest.job-order") -> Record:
    return Record(topic, offset, 7_000, b"0671/1", value)


def test_it_is_the_time_that_the_gateway_wrote() -> None:
    """The last one in the record: before it stands what a publisher wrote."""
    written = b'{"data":{"note":"\\"recordedtime\\":\\"x"},"recordedtime":"2026-11-23T08:05:01Z"}'
    assert TakenIn().seconds([record(0, AT % 0), record(1, written)]) == [AT_S, AT_S + 1]


def test_an_event_of_the_forwarders_own_has_the_logs_time() -> None:
    """A retraction that an agreement's end brought about was taken in by nobody."""
    assert TakenIn().seconds([record(0, b'{"id":"1"}')]) == [7.0]


def test_what_is_remembered_is_the_records_own() -> None:
    """By topic and offset, for one that is shared and for one who was away, and beyond what is kept."""
    taken_in = TakenIn()
    for begin in range(0, REMEMBERED_MAX + SHARED_RECORDS_MAX, SHARED_RECORDS_MAX // 4):
        page = [record(offset, AT % (offset % 60)) for offset in range(begin, begin + SHARED_RECORDS_MAX // 4)]
        expected = [AT_S + one.offset % 60 for one in page]
        assert taken_in.seconds(page) == expected
        assert taken_in.seconds(page) == expected
    assert taken_in.seconds([record(5, AT % 50, "alliance.nord.job-order")]) == [AT_S + 50]
    many = [record(offset, AT % (offset % 60)) for offset in range(SHARED_RECORDS_MAX + 1)]
    assert taken_in.seconds(many) == [AT_S + one.offset % 60 for one in many]
