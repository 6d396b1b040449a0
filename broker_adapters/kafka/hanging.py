"""Steps that were decided, and of which a topic was never told: Kafka calls such a transaction hanging.

A coordinator that believes a topic to be gone completes a transaction without marking its end there. Kafka 4.3
believes so of every topic that has no leader just then, as all have for a moment when a single broker has stood still
for longer than its session. What was written there can be read by nobody, until the next marker of the same
producer, whichever that is, speaks for both. So whoever enters ends what hangs, before it looks at anything.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

from aiokafka import TopicPartition

from broker_adapters.kafka import producers
from broker_adapters.kafka.patience import to_its_end
from broker_adapters.kafka.transaction_requests import ProducerIdentity, TransactionState

COMMITTED = frozenset({"PrepareCommit", "CompleteCommit"})
ROLLED_BACK = frozenset({"PrepareAbort", "CompleteAbort"})
OPEN = frozenset({"Ongoing", "PrepareEpochFence"})
"""The states of a transaction that is rolled back by whoever takes its id over."""

POLL_S = 0.002

END_S_MAX = 10.0
"""For one transaction that ends what hangs, whatever is left of the time for entering."""


class Transactions(Protocol):
    """What is asked about transactions. Topics are named as in the log."""

    async def open_transactions(self, topics: Iterable[str], producer: ProducerIdentity) -> set[str]:
        """Return in which of `topics` a producer's transaction is open. Raises `Fenced` where another has its id."""

    async def unread(self) -> set[str]:
        """Return the topics in which something is written that cannot be read yet."""


def is_to_be_committed(before: TransactionState | None, epoch: int, *, state_topic_hangs: bool) -> bool:
    """Whether a step that hangs is to be committed, or rolled back. Pure.

    before: its transaction, before its id was taken over; None where there was none. epoch: of the one who took it
    over. Taking over adds one to the epoch, and one more where a transaction was open: where it was another number
    something happened in between, and `before` tells nothing. Nor does it where one who took over before died at it.
    Then the step is as its state is: of one whose state cannot be read it is decided anew.
    """
    if before is not None:
        if before.name in COMMITTED | ROLLED_BACK and epoch == before.epoch + 1:
            return before.name in COMMITTED
        if before.name in OPEN and epoch > before.epoch + 1:
            return False
    return not state_topic_hangs


async def await_end(transactions: Transactions, producer: Any, topics: Iterable[str]) -> None:
    """Return when a committed step's end is marked in all its topics; it never does where the step hangs."""
    missing = set(topics)
    while missing := await transactions.open_transactions(missing, _identity(producer)):  # noqa: ASYNC110  # seen only so
        await asyncio.sleep(POLL_S)


async def end_hanging(
    transactions: Transactions, producer: Any, *, prefix: str, state_topic: str, before: TransactionState | None
) -> None:
    """End what a predecessor left hanging, as it was decided, by a transaction in which nothing is written.

    Returns when all of the state topic can be read. producer: with the predecessor's id, started. before: the
    predecessor's last transaction until then.
    """
    commits: bool | None = None
    while unread := await transactions.unread():
        hanging = await transactions.open_transactions(unread, _identity(producer))
        if hanging:
            if commits is None:
                epoch = _identity(producer).epoch
                commits = is_to_be_committed(before, epoch, state_topic_hangs=state_topic in hanging)
            # Left in its midst it would be rolled back, whatever had been decided.
            await to_its_end(_end(producer, [prefix + topic for topic in hanging], commits=commits))
        elif state_topic not in unread:
            # What is open in the others is other producers'.
            return
        await asyncio.sleep(POLL_S)


async def _end(producer: Any, names: Iterable[str], *, commits: bool) -> None:
    async with asyncio.timeout(END_S_MAX):
        await producer.begin_transaction()
        for name in names:
            producer._txn_manager.maybe_add_partition_to_txn(TopicPartition(name, 0))  # noqa: SLF001
        await producers.end_transaction(producer, commits=commits)


def _identity(producer: Any) -> ProducerIdentity:
    manager = producer._txn_manager  # noqa: SLF001
    return ProducerIdentity(manager.producer_id, manager.producer_epoch)
