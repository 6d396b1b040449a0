"""A whole gateway on a real broker that demands a password or a certificate over TLS."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker_adapters.kafka.faults import KafkaRefused
from exchange_gateway.main import Gateway
from exchange_gateway.settings import Kafka, Settings
from tests.kafka.secured import PASSWORD, Authority, Secured, secured_broker


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


async def test_a_gateway_opens_with_scram(secured: Secured, tmp_path: Path) -> None:
    """Every client that opening makes logs in by password: topics, transactions, groups."""
    async with Gateway(by_scram(secured, tmp_path)):
        pass


async def test_a_gateway_opens_with_a_certificate(secured: Secured, tmp_path: Path) -> None:
    """The same by client certificate alone."""
    async with Gateway(by_certificate(secured, tmp_path, secured.authority.certificate("gateway"))):
        pass


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
