"""A whole gateway on a real broker that demands a password, a certificate or a token over TLS."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as ConfluentPartition

from broker_adapters.kafka import KafkaLog
from broker_adapters.kafka.bearer import AGAIN_S, TokenServerAway, TokenSource
from broker_adapters.kafka.faults import KafkaRefused
from broker_adapters.log import LogUnavailable, UnknownTopic
from client_credentials.protocol import EARLY_S
from exchange_gateway.api.app import App
from exchange_gateway.core.access import Role
from exchange_gateway.kafka_client import kafka_settings
from exchange_gateway.main import Gateway
from exchange_gateway.settings import Kafka, Settings
from schemas.event import STRUCTURED
from tests.core.agreement_samples import agreement
from tests.kafka.secured import PASSWORD, SESSION_MS, Authority, Secured, secured_broker
from tests.kafka.token_server import CLIENT, SCOPE, SECRET, TokenServer
from tests.processes import run
from tests.support import an_event, token


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured_broker(tmp_path_factory.mktemp("secured")) as broker:
        yield broker


def by_scram(secured: Secured, folder: Path, password: str = PASSWORD, **changed: Any) -> Settings:
    file = folder / "password"
    file.write_text(password + "\n")
    kafka = {"security_protocol": "SASL_SSL", "ca_file": secured.authority.file, "username": "gateway"}
    kafka |= {"password_file": file, "prefix": "scram.", **changed}
    return Settings(data=folder / "data", kafka_bootstrap=secured.scram, kafka=Kafka(**kafka))


def by_certificate(secured: Secured, folder: Path, certificate: Path) -> Settings:
    kafka = Kafka(security_protocol="SSL", ca_file=secured.authority.file, certificate_file=certificate, prefix="mtls.")
    return Settings(data=folder / "data", kafka_bootstrap=secured.mtls, kafka=kafka)


def by_token(secured: Secured, folder: Path, secret: str = SECRET, **changed: Any) -> Settings:
    file = folder / "secret"
    file.write_text(secret + "\n")
    kafka = {"security_protocol": "SASL_SSL", "ca_file": secured.authority.file, "sasl_mechanism": "OAUTHBEARER"}
    kafka |= {"token_url": secured.tokens.url, "token_ca_file": secured.authority.file, "client_id": CLIENT}
    kafka |= {"client_secret_file": file, "scope": SCOPE, "prefix": "oauth.", **changed}
    return Settings(data=folder / "data", kafka_bootstrap=secured.oauth, kafka=Kafka(**kafka))


@contextmanager
def changed(server: TokenServer, **what: Any) -> Iterator[None]:
    before = {name: getattr(server, name) for name in what}
    for name, value in what.items():
        setattr(server, name, value)
    yield
    for name, value in before.items():
        setattr(server, name, value)


async def goes_all_the_way(settings: Settings, producer: Producer, mailbox: str) -> None:
    """Agree, publish over HTTP and into the mailbox, and wait until both are forwarded, and a bad one set aside."""
    async with Gateway(settings) as gateway:
        transport = httpx.ASGITransport(App(gateway))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=30) as client:
            operator = {**token(gateway, "drift", Role.OPERATOR), "If-None-Match": "*"}
            answer = await client.put("/v1/alliances/vest", json=agreement(), headers=operator)
            assert answer.status_code == 201, answer.text
            publisher = token(gateway, "0671", Role.PUBLISHER)
            over_http, native = (an_event(data__sharing={"scope": "alliances"}) for _ in range(2))
            as_one = {**publisher, "Content-Type": STRUCTURED}
            assert (await client.post("/v1/events", json=over_http, headers=as_one)).status_code == 201
            async with asyncio.timeout(60):
                while mailbox.removeprefix(settings.kafka.prefix) not in await gateway.log.topics():  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                for value in (json.dumps(native).encode(), b"no event"):
                    producer.produce(mailbox, value)
                assert await asyncio.to_thread(producer.flush, 20) == 0
                shared: list[str] = []
                while len(shared) < 2:
                    await asyncio.sleep(0.1)
                    with suppress(UnknownTopic):
                        async with gateway.log.reader({"alliance.vest.job-order": 0}) as reader:
                            shared = [json.loads(record.value)["id"] for record in await reader.poll(timeout_s=0.5)]
                assert shared == [over_http["id"], native["id"]]
                quarantined: list[Any] = []
                while not quarantined:
                    await asyncio.sleep(0.1)
                    quarantined = (await client.get("/v1/quarantine", headers=publisher)).json()["quarantine"]


async def test_a_gateway_works_with_a_certificate(secured: Secured, tmp_path: Path) -> None:
    """Topics, transactions and groups, by client certificate alone; a producer beside it by password."""
    settings = by_certificate(secured, tmp_path, secured.authority.certificate("gateway"))
    await goes_all_the_way(settings, secured.producer("gateway"), "mtls.in.0671")


async def test_the_printed_acls_are_enough_and_not_more(secured: Secured, tmp_path: Path) -> None:
    """With them a gateway that may do nothing else does everything; a participant writes to its mailbox only."""
    administrator = tmp_path / "administrator.properties"
    administrator.write_text(secured.login("gateway"))
    printed = run(
        "kafka", "acls", "--gateway", "User:limited", "--participant", "0671=User:struer",
        "--kafka", secured.scram, "--prefix", "scram.", "--command-config", administrator,
    )  # fmt: skip
    assert printed.returncode == 0, printed.stderr
    secured.carry_out(printed.stdout)
    struer = secured.producer("struer")
    await goes_all_the_way(by_scram(secured, tmp_path, username="limited"), struer, "scram.in.0671")
    for topic in ("scram.in.0657", "scram.pub.0671.job-order", "scram.quarantine", "scram.control.agreements"):
        assert await asyncio.to_thread(secured.written, struer, topic) is not None
    consumer = Consumer(secured.client("struer") | {"group.id": "scram.forwarders", "auto.offset.reset": "earliest"})
    consumer.assign([ConfluentPartition("scram.pub.0671.job-order", 0, 0)])
    messages = await asyncio.to_thread(consumer.consume, 1, 30)
    assert messages
    assert all(message.error() is not None for message in messages)
    consumer.close()


async def test_a_wrong_password_is_refused_without_being_shown(secured: Secured, tmp_path: Path) -> None:
    """It ends the start at once, names the settings to look at, and keeps the password to itself."""
    with pytest.raises(KafkaRefused, match="password_file") as refused:
        async with Gateway(by_scram(secured, tmp_path, password="forkert-kodeord")):
            pass
    assert "forkert" not in str(refused.value)


async def test_an_unknown_ca_is_named_as_the_reason(secured: Secured, tmp_path: Path) -> None:
    """A CA that did not sign the broker is no broker that is away."""
    with pytest.raises(KafkaRefused, match=r"kafka\.ca_file"):
        async with Gateway(by_scram(secured, tmp_path, ca_file=Authority(tmp_path, "other").file)):
            pass


async def test_a_certificate_of_another_ca_is_refused(secured: Secured, tmp_path: Path) -> None:
    """The broker tells so only after the handshake."""
    stranger = Authority(tmp_path, "other").certificate("gateway")
    with pytest.raises(KafkaRefused, match="client certificate"):
        async with Gateway(by_certificate(secured, tmp_path, stranger)):
            pass


async def is_closed(settings: Settings, folder: Path, after_s: float) -> bool:
    """Log in by a token, wait, and see whether the broker still answers on that connection."""
    arguments = kafka_settings(settings, folder).client_arguments("idle")
    host, _, port = arguments.pop("bootstrap_servers")[0].rpartition(":")
    connection = await create_conn(host, int(port), **arguments)
    await connection.send(MetadataRequest([]))
    await asyncio.sleep(after_s)
    try:
        await connection.send(MetadataRequest([]))
    except KafkaConnectionError:
        return True
    finally:
        connection.close()
    return False


async def test_a_gateway_works_with_tokens(secured: Secured, tmp_path: Path) -> None:
    """It asks for one, though the broker closes each connection after two seconds and wants a new login."""
    settings = by_token(secured, tmp_path)
    before = secured.tokens.given
    closed, _ = await asyncio.gather(
        is_closed(settings, tmp_path, SESSION_MS / 1000 + 0.5),
        goes_all_the_way(settings, secured.producer("gateway"), "oauth.in.0671"),
    )
    assert closed
    assert secured.tokens.given == before + 2


async def test_a_token_is_renewed_before_it_ends(secured: Secured, tmp_path: Path) -> None:
    """The one that is there outlasts a server that is away, until it ends; a failure is not repeated at once."""
    made = kafka_settings(by_token(secured, tmp_path), tmp_path).tokens
    assert made is not None
    now = 1000.0
    source = TokenSource(made.credentials, lambda: now)
    first = await source.token()
    now += 3600 - EARLY_S - 1
    assert await source.token() == first
    now += 1
    with changed(secured.tokens, fails_with=503):
        assert await source.token() == first
        now += EARLY_S
        with pytest.raises(TokenServerAway, match="503"):
            await source.token()
    with pytest.raises(TokenServerAway, match="503"):
        await source.token()
    now += AGAIN_S
    with changed(secured.tokens, audience="renewed"):
        assert await source.token() != first
    assert source.problem is None


async def test_a_wrong_secret_is_refused_without_being_shown(secured: Secured, tmp_path: Path) -> None:
    """The token server's refusal ends the start at once."""
    with pytest.raises(KafkaRefused, match=r"401 invalid_client.*client_secret_file") as refused:
        async with Gateway(by_token(secured, tmp_path, secret="forkert-kodeord")):
            pass
    assert "forkert" not in str(refused.value)


async def test_a_token_for_others_is_refused_by_the_broker(secured: Secured, tmp_path: Path) -> None:
    """The token server gave it, and the broker does not take it: that is no broker that is away."""
    with changed(secured.tokens, audience="others"), pytest.raises(KafkaRefused, match="audience"):
        async with Gateway(by_token(secured, tmp_path)):
            pass


@pytest.mark.parametrize("how", ["nobody listens", "another CA", "503"])
async def test_a_token_server_that_is_away_is_named(secured: Secured, tmp_path: Path, how: str) -> None:
    """It may come back, so it is asked until the deadline; then it is told that it is not Kafka that is missing."""
    # Held, so that nobody else comes to listen there.
    with socket.socket() as held, changed(secured.tokens, fails_with=503 if how == "503" else None):
        held.bind(("127.0.0.1", 0))
        other: dict[str, Any] = {
            "nobody listens": {"token_url": f"https://127.0.0.1:{held.getsockname()[1]}/token"},
            "another CA": {"token_ca_file": Authority(tmp_path, "other").file},
        }.get(how, {})
        settings = kafka_settings(by_token(secured, tmp_path, **other), tmp_path / "state")
        log = KafkaLog(replace(settings, start_deadline_s=0.5))
        with pytest.raises(LogUnavailable, match=r"token server https://127.0.0.1"):
            await log.open()
