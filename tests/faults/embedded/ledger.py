"""What callers of a log were told, held against what is found in it afterwards."""

from collections import Counter
from collections.abc import Callable
from typing import Self

from broker_adapters.log import Log, LogError, NewRecord, Processor, Record

TOPIC = "pub.0671.job-order"
OUTPUT = "alliance.vestalliancen.job-order"
PROCESSOR = "forwarder-0"
OUTPUTS_A_STEP = 3


class Ledger:
    """Everything that was tried, and how each was answered."""

    def __init__(self) -> None:
        self.attempted: set[bytes] = set()
        self.answered: dict[int, bytes] = {}
        self.refused: set[bytes] = set()
        self.steps_attempted = 0
        self.steps_answered = 0
        self.on_refusal: Callable[[], None] = lambda: None

    def copy(self) -> Self:
        """Return the ledger as it is at this instant, also from another thread."""
        other = type(self)()
        # What was answered first: all of it must be found, while anything attempted may be.
        other.answered, other.steps_answered = self.answered.copy(), self.steps_answered
        other.refused = self.refused.copy()
        other.attempted, other.steps_attempted = self.attempted.copy(), self.steps_attempted
        return other

    async def append(self, log: Log, *values: bytes) -> bool:
        """Append, and keep what came of it; tell whether it was answered."""
        self.attempted.update(values)
        try:
            offsets = await log.append(TOPIC, [NewRecord(value, value[:8]) for value in values])
        except LogError as error:
            if not error.outcome_unknown:
                self.refused.update(values)
                self.on_refusal()
            return False
        self.answered.update(zip(offsets, values, strict=True))
        return True

    async def step(self, processor: Processor) -> None:
        """Commit one more step of a processor, and keep what came of it. Raises what the commit raises."""
        number = processor.positions().get(TOPIC, 0) + 1
        self.steps_attempted = max(self.steps_attempted, number)
        await processor.commit(
            outputs=[(OUTPUT, NewRecord(b"%d/%d" % (number, part))) for part in range(OUTPUTS_A_STEP)],
            state={"step": b"%d" % number},
            positions={TOPIC: number},
            visible=True,
        )
        self.steps_answered = number

    async def faults(self, log: Log) -> list[str]:
        """Return what is wrong with a log: lost, there twice, torn, made up, or half committed."""
        found = await read_all(log, TOPIC)
        return [*self._faults_of_appends(found), *await self._faults_of_steps(log)]

    def _faults_of_appends(self, found: list[Record]) -> list[str]:
        stored = {record.offset: record.value for record in found}
        counts = Counter(record.value for record in found)
        return [
            *(f"lost: {value!r} at {offset}" for offset, value in self.answered.items() if stored.get(offset) != value),
            *(f"twice: {value!r}" for value, count in counts.items() if count > 1),
            *(f"torn or made up: {value!r}" for value in counts if value not in self.attempted),
            *(f"refused, yet there: {value!r}" for value in counts if value in self.refused),
            *(f"gap before {record.offset}" for number, record in enumerate(found) if record.offset != number),
        ]

    async def _faults_of_steps(self, log: Log) -> list[str]:
        outputs = [record.value for record in await read_all(log, OUTPUT)]
        async with log.processor(PROCESSOR) as processor:
            position = processor.positions().get(TOPIC, 0)
            state = int((await processor.load(["step"])).get("step", b"0"))
        expected = [b"%d/%d" % (number, part) for number in range(1, position + 1) for part in range(OUTPUTS_A_STEP)]
        faults = []
        if outputs != expected or state != position:
            faults.append(f"half a step: position {position}, state {state}, {len(outputs)} outputs")
        if not self.steps_answered <= position <= self.steps_attempted:
            faults.append(f"step {position} found, {self.steps_answered} answered, {self.steps_attempted} tried")
        return faults


async def read_all(log: Log, topic: str) -> list[Record]:
    """Return all that a topic holds; a topic that was never created holds nothing."""
    if topic not in await log.topics():
        return []
    records = []
    async with log.reader({topic: 0}) as reader:
        while page := await reader.poll():
            records += page
    return records
