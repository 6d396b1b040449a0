"""What the brokers are, and how they are set: asked for, and nothing made or changed by asking."""

from typing import Any, NamedTuple

from aiokafka.protocol.admin import ApiVersionRequest, DescribeConfigsRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest

from broker_adapters.kafka.faults import translated
from broker_adapters.kafka.link import Link

BROKER = 4
"""The kind of resource that `DescribeConfigs` calls a broker."""

METADATA = 3
METADATA_WITH_IDS = 12
"""The version of the metadata's protocol in which each topic has an id: Kafka 2.8's."""

TRANSACTION_TOPIC = "__transaction_state"
TRANSACTION = 1
ASKED = (
    "auto.create.topics.enable",
    "default.replication.factor",
    "message.max.bytes",
    "min.insync.replicas",
    "transaction.max.timeout.ms",
    "transaction.state.log.min.isr",
    "transaction.state.log.replication.factor",
    "unclean.leader.election.enable",
)


class Survey(NamedTuple):
    """The cluster as one of its brokers tells of it.

    old: whether its protocol is older than Kafka 2.8's. settings: those of `ASKED` that the broker tells.
    transactions: whether somebody looks after transactions; None before the first one was ever made.
    """

    brokers: int
    old: bool
    settings: dict[str, str]
    transactions: bool | None


async def survey(link: Link) -> Survey:
    """Ask. Raises a `LogError`."""
    node = link.any_node()
    with translated("asking for its settings"):
        everything = await link.describe(None, node)
        versions = await link.ask(node, ApiVersionRequest())
        answer = await link.ask(node, DescribeConfigsRequest([(BROKER, str(node), list(ASKED))]))
        transactions: bool | None = None
        # Asking for a coordinator makes this topic where it is not there yet.
        if TRANSACTION_TOPIC in {name for _, name, *_ in everything.topics}:
            found = await link.ask(node, FindCoordinatorRequest("kommunebro-doctor", TRANSACTION))
            transactions = found.error_code == 0
    newest = {key: most for key, _, most in versions.api_versions}
    told: dict[str, str] = {}
    for _, _, _, _, entries in answer.resources:
        told |= {entry[0]: entry[1] for entry in _known(entries)}
    return Survey(len(everything.brokers), newest.get(METADATA, 0) < METADATA_WITH_IDS, told, transactions)


def _known(entries: list[Any]) -> list[Any]:
    return [entry for entry in entries if entry[0] in ASKED and entry[1] is not None]
