"""The log on Apache Kafka: the only package that imports aiokafka.

`link` asks, `topics` makes, `appender` appends, `reader` reads, `processor` processes exactly once.
"""

from broker_adapters.kafka.log import KafkaLog
from broker_adapters.kafka.settings import KafkaSettings

__all__ = ["KafkaLog", "KafkaSettings"]
