"""Ask for the log's topics on behalf of many who want to know them as they are now."""

from broker_adapters.log import Log
from broker_adapters.shared_answer import SharedAnswer

SPACING = 4.0
"""A listing follows the one before after this many times as long as that took: on Kafka one costs milliseconds,
and with many readers at once they would take the whole processor."""


class FreshTopics(SharedAnswer[frozenset[str]]):
    """The log's topics, never from before they were asked for. All who come while one listing waits share it."""

    def __init__(self, log: Log) -> None:
        async def listed() -> frozenset[str]:
            return frozenset(await log.topics())

        super().__init__(listed, SPACING)
