"""Write a file of events to a mailbox with a Kafka producer of one's own: one event a line, in structured mode.

It needs nothing of Kommunebro's:

    pip install confluent-kafka
    python examples/native/publish.py HOST:PORT in.0671 examples/native/ordrer.ndjson
"""

import json
import sys
from pathlib import Path

from confluent_kafka import KafkaError, Message, Producer

STRUCTURED = [("content-type", b"application/cloudevents+json")]


def told(error: KafkaError | None, message: Message) -> None:
    """Say what Kafka answered. Whether the event was taken in is told by the gateway, in its quarantine."""
    print(f"written at offset {message.offset()}" if error is None else f"not written: {error}")


def main(bootstrap: str, mailbox: str, file: str) -> None:
    """Write the events, and return when Kafka has them."""
    # Idempotent: what is sent again inside the client is written once. An event that you write twice is recognised.
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for line in Path(file).read_text("utf-8").splitlines():
        subject = json.loads(line)["subject"]
        producer.produce(mailbox, line.encode(), key=subject, headers=STRUCTURED, on_delivery=told)
    if producer.flush(30):
        sys.exit("Kafka did not take everything within 30 seconds. Run it again: what it took is recognised.")


if __name__ == "__main__":
    main(*sys.argv[1:])
