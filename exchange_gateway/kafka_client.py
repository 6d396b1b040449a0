"""From our settings to those of a client of Kafka, with what stands in files of secrets."""

from pathlib import Path

from broker_adapters.kafka import KafkaSettings
from broker_adapters.kafka.bearer import ClientCredentials, TokenSource
from broker_adapters.kafka.faults import KafkaRefused
from broker_adapters.kafka.security import tls_context
from exchange_gateway.settings import Kafka, Settings


def kafka_settings(settings: Settings, state_folder: Path) -> KafkaSettings:
    """Return them. Raises `KafkaRefused` where something is missing, or a file cannot be used."""
    kafka = settings.kafka
    assert settings.kafka_bootstrap is not None  # noqa: S101  # the caller looked
    logs_in = kafka.security_protocol == "SASL_SSL"
    by_token = logs_in and kafka.sasl_mechanism == "OAUTHBEARER"
    return KafkaSettings(
        security_protocol=kafka.security_protocol,
        ssl_context=None
        if kafka.security_protocol == "PLAINTEXT"
        else tls_context(kafka.ca_file, kafka.certificate_file, kafka.key_file),
        sasl_mechanism=kafka.sasl_mechanism,
        sasl_username=kafka.username,
        sasl_password=_password(kafka) if logs_in and not by_token else None,
        tokens=_tokens(kafka) if by_token else None,
        bootstrap=settings.kafka_bootstrap,
        prefix=kafka.prefix,
        state_folder=state_folder,
        replication_factor=kafka.replication_factor,
        append_deadline_s=settings.limits.publish_timeout_s,
    )


def _password(kafka: Kafka) -> str:
    if kafka.username is None or kafka.password_file is None:
        raise KafkaRefused(f"{kafka.sasl_mechanism} needs kafka.username and kafka.password_file. Set both.")
    return _secret("kafka.password_file", kafka.password_file)


def _tokens(kafka: Kafka) -> TokenSource:
    if kafka.token_url is None or kafka.client_id is None or kafka.client_secret_file is None:
        raise KafkaRefused("OAUTHBEARER needs kafka.token_url, kafka.client_id and kafka.client_secret_file. Set all.")
    return TokenSource(
        ClientCredentials(
            url=kafka.token_url,
            client_id=kafka.client_id,
            client_secret=_secret("kafka.client_secret_file", kafka.client_secret_file),
            scope=kafka.scope,
            tls=tls_context(kafka.token_ca_file, None, None, "kafka.token_ca_file"),
        )
    )


def _secret(setting: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise KafkaRefused(f"{setting} {file} cannot be read: {why}.") from None
