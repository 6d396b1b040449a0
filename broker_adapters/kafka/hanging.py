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

COMMITTED = frozenset({"PrepareCommit", "CompleteCommit"})
ROLLED_BACK = frozenset({"Ongoing", "PrepareAbort", "CompleteAbort", "PrepareEpochFence"})
"""The states of a transaction after which it is rolled back, at the latest when its id is taken over."""

POLL_S = 0.002


class Transactions(Protocol):
    """What is asked about transactions. Topics are named as in the log."""

    async def open_transactions(self, topics: Iterable[str], producer_id: int) -> set[str]:
        """Return in which of `topics` a producer's transaction is open."""

    async def unread(self) -> set[str]:
        """Return the topics in which something is written that cannot be read yet."""


def is_to_be_committed(state: str | None, *, state_topic_hangs: bool) -> bool:
    """Whether a step that hangs is to be committed, or rolled back. Pure.

    state: of its transaction, before its id was taken over; None where there was none. Where that tells nothing, since
    one who took over before died at it, the step is as its state is: of one whose state cannot be read it is decided
    anew. That loses nothing; it repeats what other topics may have been told.
    """
    if state in COMMITTED:
        return True
    return state not in ROLLED_BACK and not state_topic_hangs


async def await_end(transactions: Transactions, producer: Any, topics: Iterable[str]) -> None:
    """Return when a committed step's end is marked in all its topics; it never does where the step hangs."""
    missing = set(topics)
    while missing := await transactions.open_transactions(missing, _id_of(producer)):  # noqa: ASYNC110  # seen only so
        await asyncio.sleep(POLL_S)


async def end_hanging(
    transactions: Transactions, producer: Any, *, prefix: str, state_topic: str, before: str | None
) -> None:
    """End what a predecessor left hanging, as it was decided, by a transaction in which nothing is written.

    Returns when all of the state topic can be read. producer: with the predecessor's id, started. before: the state of
    its transaction until then.
    """
    commits: bool | None = None
    while unread := await transactions.unread():
        hanging = await transactions.open_transactions(unread, _id_of(producer))
        if hanging:
            if commits is None:
                commits = is_to_be_committed(before, state_topic_hangs=state_topic in hanging)
            await _end(producer, [prefix + topic for topic in hanging], commits=commits)
        elif state_topic not in unread:
            # What is open in the others is other producers'.
            return
        await asyncio.sleep(POLL_S)


async def _end(producer: Any, names: Iterable[str], *, commits: bool) -> None:
    await producer.begin_transaction()
    for name in names:
        producer._txn_manager.maybe_add_partition_to_txn(TopicPartition(name, 0))  # noqa: SLF001
    await (producer.commit_transaction() if commits else producer.abort_transaction())


def _id_of(producer: Any) -> int:
    number: int = producer._txn_manager.producer_id  # noqa: SLF001
    return number
