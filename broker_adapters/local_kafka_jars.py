"""Apache Kafka itself: its jars, fetched at first use."""

from pathlib import Path

from broker_adapters.maven_jars import JarsNotFetched, cache_folder, jars_in

KAFKA_VERSION = "4.3.1"
COORDINATES = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
"""slf4j-simple has to be of the series that Kafka's own slf4j-api is of, or Kafka logs nothing."""

KafkaNotFetched = JarsNotFetched


def class_path(cache: Path | None = None) -> str:
    """Return Java's class path for Kafka, fetching what it names at first use. Raises `KafkaNotFetched`."""
    folder = cache or cache_folder() / f"kafka-{KAFKA_VERSION}"
    return jars_in(folder, COORDINATES, f"Apache Kafka {KAFKA_VERSION}")
