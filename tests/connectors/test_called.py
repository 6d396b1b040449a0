"""Sources that come by themselves: a webhook that is called, and a topic of a municipality's own Kafka."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from municipality_connectors.called import called
from municipality_connectors.connecting import run_once, take_call
from municipality_connectors.connector_file.loading import ConnectorFileWrong, load_connector
from municipality_connectors.report import PublishReport
from municipality_connectors.running.taking import Habits
from municipality_connectors.sources import kafka_topic, webhook
from municipality_connectors.sources.portion import Done
from municipality_connectors.sources.webhook import CallPortion
from tests.connectors.conftest import ORDER_FIELDS, REGISTRY, Desk
from tests.connectors.sheets import messages
from tests.processes import free_port

HOOK_SECRET = "en-hemmelighed-på-over-16"
FIELDS = ORDER_FIELDS.replace('"Sagsnr"', '"nr"').replace('from = "Status"', 'from = "status"').replace(
    '"Overskrift"', '"titel"'
).replace('"Fag"', '"fag"').replace('"Antal"', '"antal"')  # fmt: skip


def case(number: int, status: str = "A") -> dict[str, Any]:
    """Return what their system tells of an order."""
    return {"nr": number, "status": status, "titel": f"Ordre {number}", "fag": "Smed", "antal": 2}


def call(port: int, body: bytes, secret: str = HOOK_SECRET) -> int:
    """Call a webhook on this machine, and return the status; 0 while nobody listens."""
    headers = {"Authorization": f"Bearer {secret}".encode(), "Content-Type": "application/json"}
    try:
        return httpx.post(f"http://127.0.0.1:{port}/besoeg", content=body, headers=headers, timeout=10).status_code  # type: ignore[arg-type]
    except httpx.TransportError:
        return 0


@pytest.fixture
def hooked(desk: Desk) -> Iterator[httpx.Client]:
    """A webhook and a client that knows its secret; what it takes waits in the desk's outbox."""
    (desk.folder / "hemmelighed").write_text(HOOK_SECRET)
    listen = f"127.0.0.1:{free_port()}"
    source = f'kind = "webhook"\nsecret-file = "hemmelighed"\nlisten = "{listen}"'
    desk.write(source, f'path = "/ordrer"\nitems = "sager"\n{FIELDS}')
    connector = load_connector(desk.folder / "ordrer.toml")
    assert connector.opened.webhook is not None

    def take(portion: CallPortion) -> PublishReport:
        return take_call(connector, portion, registry=REGISTRY)

    headers = {"Authorization": f"Bearer {HOOK_SECRET}".encode()}
    with (
        called(connector.opened.webhook, take),
        httpx.Client(base_url=f"http://{listen}", headers=headers) as client,  # type: ignore[arg-type]
    ):
        yield client


def sent(desk: Desk) -> PublishReport:
    """Send what waits, as the service does."""
    connector = load_connector(desk.folder / "ordrer.toml")
    return run_once(connector, desk.token, habits=Habits(), registry=REGISTRY, patience_s=0.0, read=False)


def test_a_call_is_answered_when_what_it_tells_is_kept(desk: Desk, hooked: httpx.Client) -> None:
    """Each state in its order; called again with the same, nothing is new."""
    answer = hooked.post("/ordrer", json={"sager": [case(1), case(2), case(1, "B")]})
    assert (answer.status_code, answer.json()["kept"]) == (200, 3)
    again = hooked.post("/ordrer", json={"sager": [case(1, "B")]})
    assert (again.status_code, again.json()["kept"], again.json()["unchanged"]) == (200, 0, 1)
    assert sent(desk).accepted == 3
    assert desk.states() == [("1", "open"), ("2", "open"), ("1", "filled")]


def test_what_is_wrong_is_told_to_the_caller_and_the_rest_is_kept(desk: Desk, hooked: httpx.Client) -> None:
    """By item and field; and not again to the next caller."""
    answer = hooked.post("/ordrer", json={"sager": [case(1, "Q"), case(2)]})
    assert (answer.status_code, answer.json()["kept"], answer.json()["refused"]) == (422, 1, 1)
    [refusal] = answer.json()["refusals"]
    assert (refusal["row"], refusal["column"], "»Q«" in refusal["message"]) == (1, "status", True)
    assert hooked.post("/ordrer", json={"sager": [case(3)]}).json()["refusals"] == []
    assert sent(desk).accepted == 2


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        ({"json": {"sager": []}, "headers": {"Authorization": "Bearer forkert"}}, 401, "unauthorized"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "unreadable"),
        ({"content": b"<a/>", "headers": {"Content-Type": "text/xml"}}, 415, "media-type"),
        ({"content": b" " * 2_000, "headers": {"Content-Type": "application/json"}}, 413, "too-large"),
    ],
)
def test_a_call_that_is_none_is_refused(
    hooked: httpx.Client, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], status: int, problem: str
) -> None:
    """With a name for programs and a sentence for people."""
    monkeypatch.setattr(webhook, "BODY_BYTES_MAX", 1_000)
    answer = hooked.post("/ordrer", **arguments)
    assert (answer.status_code, answer.json()["problem"]) == (status, problem)
    assert HOOK_SECRET not in answer.text


def test_another_path_or_method_is_not_there(hooked: httpx.Client) -> None:
    """Only what the file names."""
    assert (hooked.post("/andet", json={}).status_code, hooked.get("/ordrer").status_code) == (404, 405)
    assert hooked.post("/ordrer", json={"andet": 1}).json()["refusals"][0]["problem"] == "missing-items"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('kind = "webhook"\nsecret-file = "kort"', "mindst 16 tegn"),
        ('kind = "webhook"\nsecret-file = "hemmelighed"\nlisten = "0.0.0.0:8085"', "når andre maskiner skal"),
        ('kind = "kafka"\nbootstrap = "a:9092"\nuser = "x"\npassword-file = "kort"', "må ikke sendes åbent"),
    ],
)
def test_a_secret_is_never_sent_in_the_open(desk: Desk, source: str, told: str) -> None:
    """Nor is a short one taken for a secret."""
    (desk.folder / "kort").write_text("kort")
    (desk.folder / "hemmelighed").write_text(HOOK_SECRET)
    path = desk.write(source, f"{FIELDS}")
    with pytest.raises(ConnectorFileWrong, match=told):
        load_connector(path)


# --- a topic ---------------------------------------------------------------------------------------------------


def made_topic(bootstrap: str, partitions: int) -> str:
    """Make a topic in a municipality's Kafka."""
    topic = f"fagsystem-{uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(timeout=30)
    return topic


def connected_topic(desk: Desk, bootstrap: str, partitions: int = 1) -> str:
    """Make a topic, and the connector file that reads it."""
    topic = made_topic(bootstrap, partitions)
    desk.write(f'kind = "kafka"\nbootstrap = "{bootstrap}"', f'topic = "{topic}"\n{FIELDS}')
    return topic


def produced(bootstrap: str, topic: str, records: Sequence[tuple[bytes, bytes | None]]) -> None:
    """Write records as their system does."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for key, value in records:
        producer.produce(topic, value, key)
    assert producer.flush(30) == 0


def records_of(*cases: dict[str, Any]) -> list[tuple[bytes, bytes | None]]:
    """Return cases as records."""
    return [(str(one["nr"]).encode(), orjson.dumps(one)) for one in cases]


def test_a_topic_is_read_from_where_it_was_read_to(
    desk: Desk, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every partition, page by page, each state in its order; a record without a value is passed over."""
    monkeypatch.setattr(kafka_topic, "RECORDS_AT_ONCE", 2)
    topic = connected_topic(desk, kafka_bootstrap, 3)
    produced(kafka_bootstrap, topic, records_of(*(case(number) for number in range(6)), case(0, "B")))
    assert desk.run().accepted == 7
    assert [status for subject, status in desk.states() if subject == "0"] == ["open", "filled"]
    produced(kafka_bootstrap, topic, [*records_of(case(6)), (b"6", None)])
    report = desk.run()
    assert (report.rows, report.accepted) == (1, 1)
    assert desk.run().rows == 0


@pytest.mark.timeout(60)
def test_a_look_at_a_topic_ends_though_it_keeps_nothing(
    desk: Desk, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page once, although no mark says how far it was read."""
    monkeypatch.setattr(kafka_topic, "RECORDS_AT_ONCE", 2)
    topic = connected_topic(desk, kafka_bootstrap)
    produced(kafka_bootstrap, topic, records_of(*(case(number) for number in range(5))))
    assert desk.look().new == 5
    assert desk.run().accepted == 5


def test_large_records_are_not_all_held_at_once(
    desk: Desk, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page ends with the answer in which there is enough, and the next goes on behind it."""
    monkeypatch.setattr(kafka_topic, "BYTES_AT_ONCE", 1)
    topic = connected_topic(desk, kafka_bootstrap)
    large = [case(number) | {"bilag": "x" * 700_000} for number in range(4)]
    produced(kafka_bootstrap, topic, records_of(*large))
    connector = load_connector(desk.folder / "ordrer.toml")
    pages = [portion.mark(Done()) for portion in connector.source().portions(lambda _, always=False: None)]
    assert len(pages) > 1
    assert pages[-1] == b"4"
    assert desk.run().accepted == 4


def test_records_that_were_deleted_before_they_were_read_are_told(desk: Desk, kafka_bootstrap: str) -> None:
    """Nobody else would notice: what they told is in no other record."""
    topic = connected_topic(desk, kafka_bootstrap)
    produced(kafka_bootstrap, topic, records_of(case(0), case(1)))
    assert desk.run().accepted == 2
    produced(kafka_bootstrap, topic, records_of(case(2), case(3), case(4)))
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    for deleted in admin.delete_records([TopicPartition(topic, 0, 4)]).values():
        deleted.result(timeout=30)
    report = desk.run()
    assert report.accepted == 1
    assert "2 beskeder (nr. 2 til 3) blev slettet" in messages(report)
    assert "blev slettet" not in messages(desk.run())


@pytest.mark.timeout(60)
def test_a_kafka_that_goes_away_while_it_is_read_is_told(
    desk: Desk, kafka_bootstrap: str, paused_kafka: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing of that itself."""
    topic = connected_topic(desk, kafka_bootstrap)
    produced(kafka_bootstrap, topic, records_of(case(0)))
    monkeypatch.setattr(kafka_topic, "QUIET_MAX_S", 1.0)
    monkeypatch.setattr(kafka_topic, "FETCH_TIMEOUT_MS", 200)
    seek = AIOKafkaConsumer.seek

    def then_paused(consumer: AIOKafkaConsumer, place: Any, offset: int) -> None:
        seek(consumer, place, offset)
        paused_kafka()

    monkeypatch.setattr(AIOKafkaConsumer, "seek", then_paused)
    report = desk.run()
    assert (report.accepted, report.exit_status) == (0, 1)
    assert "holdt op med at svare" in messages(report)


def test_a_record_that_cannot_be_read_is_told_and_holds_up_nobody(desk: Desk, kafka_bootstrap: str) -> None:
    """Until somebody looks through all of it again."""
    topic = connected_topic(desk, kafka_bootstrap)
    produced(kafka_bootstrap, topic, [(b"x", b"ikke json"), *records_of(case(1, "Q"), case(2))])
    report = desk.run()
    assert (report.accepted, report.refused) == (1, 2)
    assert "Beskeden er ikke JSON" in messages(report)
    assert (desk.run().refused, desk.run().exit_status) == (2, 1)
    produced(kafka_bootstrap, topic, records_of(case(1, "B")))
    assert (desk.run().refused, desk.run(again=True).refused) == (1, 0)


@pytest.mark.parametrize(
    ("bootstrap", "topic", "told"),
    [(None, "findes-ikke", "eller brugeren må ikke læse det"), ("127.0.0.1", "x", "Jeres Kafka kan ikke nås")],
)
def test_a_topic_or_a_kafka_that_is_not_there_is_told(
    desk: Desk, kafka_bootstrap: str, bootstrap: str | None, topic: str, told: str
) -> None:
    """In Danish; it is tried again at the next run."""
    where = kafka_bootstrap if bootstrap is None else f"{bootstrap}:{free_port()}"
    desk.write(f'kind = "kafka"\nbootstrap = "{where}"', f'topic = "{topic}"\n{FIELDS}')
    began = time.monotonic()
    assert told in messages(desk.run())
    assert time.monotonic() - began < 60
