"""Taking in what participants' own producers write to their mailboxes: the same checks and duplicates as over HTTP.

What is refused goes to `quarantine`, in one transaction with how far its mailbox has been read: once, whatever happens.
What is accepted may be taken in again after a crash, and is then a duplicate, which leaves nothing anywhere.
"""

import asyncio
from functools import partial

from broker_adapters.log import Log, NewRecord, OffsetOutOfRange, Processor, Record
from exchange_gateway.core.access import Principal, native_principal
from exchange_gateway.core.forwarding import shard_of
from exchange_gateway.core.quarantine import lost, set_aside
from exchange_gateway.ingest import Arrival, Ingest, Outcome, Refused
from exchange_gateway.ingest.slices import in_slices
from exchange_gateway.native_door.messages import arrival_of
from exchange_gateway.problems import Problem
from exchange_gateway.telemetry import Metrics, log_event
from exchange_gateway.workers.loop import Follower, TopicList
from exchange_gateway.workers.shards import Assignments, Shards
from schemas.identifiers import QUARANTINE_TOPIC, mailbox_holder

SHARDS = 4
"""Into how many parts the mailboxes are cut. The same in every gateway: never change it while others run."""

GROUP = "intake"
"""Under which gateways share these parts."""

STEP_RECORDS = 1000
"""Messages a step at most: each costs a transaction of some 10 ms, however many it takes."""

AGAIN_FIRST_S, AGAIN_MAX_S = 0.1, 5.0
"""Between two attempts at what the log did not take."""

UNEXPECTED_TRIES = 3
"""How often a message that the gateway itself stumbles over is tried before it stands aside for those behind it."""


def shard_of_mailbox(topic: str) -> int | None:
    """Return the part of the mailboxes that a topic belongs to; None for a topic that is no mailbox."""
    holder = mailbox_holder(topic)
    return None if holder is None else shard_of(holder, SHARDS)


class Intake:
    """Takes messages in. One instance a gateway, and only on Kafka."""

    def __init__(
        self, log: Log, ingest: Ingest, *, event_bytes_max: int, metrics: Metrics, assignments: Assignments
    ) -> None:
        self._log, self._ingest, self._metrics = log, ingest, metrics
        self._event_bytes_max = event_bytes_max
        self._assignments = assignments
        self._topics = TopicList(log)
        self.committed: dict[int, dict[str, int]] = {}
        """Of each shard that is run here, the offsets up to which it has come, by topic."""

    async def run(self) -> None:
        """Take in until cancelled. Raises `LogError` when the log does not say which shards to run."""
        shards = Shards(
            self._log, self._run_shard, self.committed, name=GROUP, fenced="intake_fenced", failed="intake_failed"
        )
        await shards.run(self._assignments)

    async def _run_shard(self, shard: int) -> None:
        """Enter the processor first, which fences the predecessor; only then read where it had come to."""

        def ours(topic: str) -> bool:
            return shard_of_mailbox(topic) == shard

        async with self._log.processor(f"{GROUP}-{shard}") as processor:
            # What the predecessor took in last must be known here, or it would be taken in twice.
            await self._ingest.catch_up()
            log_event("intake_started", shard=shard)
            self.committed[shard] = dict(processor.positions())
            while True:
                try:
                    async with Follower(self._log, ours, processor.positions(), self._topics) as follower:
                        while True:
                            records = await follower.batch(records_max=STEP_RECORDS)
                            if records:
                                self.committed[shard].update(await self._take(processor, records))
                except OffsetOutOfRange as gap:
                    await self._tell_of_gap(processor, gap)

    async def _take(self, processor: Processor, records: list[Record]) -> dict[str, int]:
        """Take messages in; return the offsets that come next, by mailbox."""
        by_topic: dict[str, list[Record]] = {}
        for record in records:
            by_topic.setdefault(record.topic, []).append(record)
        refused = await asyncio.gather(*(self._take_in(topic, group) for topic, group in by_topic.items()))
        positions = {topic: group[-1].offset + 1 for topic, group in by_topic.items()}
        outputs = [(QUARANTINE_TOPIC, one) for group in refused for one in group]
        await processor.commit(outputs=outputs, positions=positions)
        return positions

    async def _take_in(self, topic: str, records: list[Record]) -> list[NewRecord]:
        """Take in messages of one mailbox; return what is to stand in quarantine."""
        holder = mailbox_holder(topic)
        assert holder is not None  # noqa: S101  # only mailboxes are followed
        arrivals = [arrival_of(record, self._event_bytes_max) for record in records]
        outcomes = await self._published(native_principal(holder), arrivals)
        refused = [
            (record, outcome) for record, outcome in zip(records, outcomes, strict=True) if isinstance(outcome, Refused)
        ]
        for _, outcome in refused:
            self._metrics.quarantined.labels(outcome.problem.type.name).inc()
        return [set_aside(record, outcome.event_id, holder, outcome.problem.body()) for record, outcome in refused]

    async def _published(self, principal: Principal, arrivals: list[Arrival]) -> list[Outcome]:
        """Publish in order, and go on trying what the log does not take now: nobody is there to send it again."""
        publish = partial(self._ingest.publish, door="native")
        outcomes: list[Outcome] = []
        pause_s, tries = AGAIN_FIRST_S, 0
        while len(outcomes) < len(arrivals):
            waiting: Refused | None = None
            # Tried often enough, a message is tried alone: it may be another of its batch that is stumbled over.
            count = 1 if tries >= UNEXPECTED_TRIES else len(arrivals)
            ahead = arrivals[len(outcomes) :][:count]
            for outcome in await in_slices(publish, principal, iter(ahead)):
                if isinstance(outcome, Refused) and _is_to_be_tried_again(outcome.problem, tries):
                    waiting = outcome
                    break
                outcomes.append(outcome)
                pause_s, tries = AGAIN_FIRST_S, 0
            if waiting is not None:
                tries += 1
                if tries == 1:
                    problem = waiting.problem.type.name
                    log_event("intake_waiting", "warning", mailbox=principal.participant, problem=problem)
                await asyncio.sleep(pause_s)
                pause_s = min(AGAIN_MAX_S, pause_s * 2)
        return outcomes

    async def _tell_of_gap(self, processor: Processor, gap: OffsetOutOfRange) -> None:
        """Put down what a mailbox let go of unread, and go on with the first message that it still has."""
        begin = processor.positions().get(gap.topic, 0)
        holder = mailbox_holder(gap.topic)
        assert holder is not None  # noqa: S101  # only mailboxes are followed
        log_event("mailbox_records_lost", "error", topic=gap.topic, begin=begin, until=gap.first)
        told: list[NewRecord] = []
        if begin < gap.first:
            which = f"{begin} up to (not including) {gap.first} of {gap.topic}"
            detail = f"Messages {which} were removed before any gateway took them in. Send what they held again."
            problem = Problem("mailbox-expired", detail)
            told = [lost(gap.topic, holder, begin, gap.first, problem.body())]
            self._metrics.quarantined.labels(problem.type.name).inc()
        await processor.commit(outputs=[(QUARANTINE_TOPIC, one) for one in told], positions={gap.topic: gap.first})


def _is_to_be_tried_again(problem: Problem, tries: int) -> bool:
    """Whether a message waits for the log, rather than stand in quarantine. tries: how often it was tried before."""
    return problem.type.retryable and (problem.type.name != "internal" or tries < UNEXPECTED_TRIES)
