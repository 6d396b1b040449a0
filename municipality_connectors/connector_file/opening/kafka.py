"""Kind `kafka`: topics of the municipality's own."""

from typing import TYPE_CHECKING

from municipality_connectors.connector_file.model import KafkaSource
from municipality_connectors.connector_file.opening.opening import Entry, Opened, Opening

if TYPE_CHECKING:
    from municipality_connectors.sources.kafka_topic import WantedTopic


def open_topics(source: KafkaSource, opening: Opening) -> Opened:
    """Return what opens the topics."""
    # Kafka's client takes a while to import, which no other kind of source need wait for.
    from municipality_connectors.sources.kafka_topic import Brokers, KafkaTopics  # noqa: PLC0415

    password = opening.secret(source.password_file, "source", "password-file")
    if source.user is not None and not source.tls:
        message = "Skal være true, når der logges ind: adgangskoden må ikke sendes åbent."
        opening.fault(message, "source", "tls")
    wanted = [_topic(entry) for entry in opening.entries]
    authority = None if source.ca_file is None else opening.folder / source.ca_file
    brokers = Brokers(source.bootstrap, source.tls, authority, source.user, password, source.mechanism)
    return Opened(lambda: KafkaTopics(brokers, wanted))


def _topic(entry: Entry) -> "WantedTopic":
    from municipality_connectors.sources.kafka_topic import WantedTopic  # noqa: PLC0415  # as above

    entry.check_documents()
    entry.check_only_changed()
    if entry.publish.topic is None:
        entry.fault("Skriv emnets navn.", "topic")
    return WantedTopic(entry.plan, entry.publish.topic or "")
