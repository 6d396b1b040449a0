"""Send events to the gateway so that each arrives once, whatever happens in between.

What is to be sent is kept (`memory.py`) before it is sent and settled when it is acknowledged, so after
a crash the same bytes go again and are recognised. A number that is taken leads to `catching_up.py`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kommunebro import Client, Result
from kommunebro.core.publishing import CHUNK_EVENTS
from municipality_connectors.catching_up import Build, Standing, find_standings
from municipality_connectors.changes import Publish, Thing, Unchanged, decide, event_bytes
from municipality_connectors.memory import Intended, Memory
from municipality_connectors.reading import ReadRow

Refuse = Callable[[ReadRow, Result], None]


class Sent(NamedTuple):
    """How many rows were taken in now, and how many the gateway had already."""

    accepted: int = 0
    duplicates: int = 0

    def plus(self, other: "Sent") -> "Sent":
        """Return the sum."""
        return Sent(self.accepted + other.accepted, self.duplicates + other.duplicates)


class _Outgoing(NamedTuple):
    row: ReadRow
    intended: Intended


class RowSender:
    """Sends one source's rows. refuse: told of each row that the gateway refuses."""

    def __init__(
        self, client: Client, memory: Memory, source: str, *, now_us: Callable[[], int], refuse: Refuse
    ) -> None:
        self._client, self._memory, self._source, self._now_us, self._refuse = client, memory, source, now_us, refuse

    def resend_pending(self) -> Sent:
        """Send what an earlier run left without an answer. Raises `ClientError`."""
        pending = self._memory.pending()
        sent = Sent()
        for begin in range(0, len(pending), CHUNK_EVENTS):
            chunk = pending[begin : begin + CHUNK_EVENTS]
            results = self._client.send(event.body for event in chunk)
            pairs = list(zip(chunk, results, strict=True))
            # One that is refused now gets its turn again, if its row is still there.
            self._memory.settle(
                [event for event, result in pairs if not result.refused],
                [event for event, result in pairs if result.refused],
            )
            sent = sent.plus(_count(results))
        return sent

    def changed(self, rows: Sequence[ReadRow]) -> list[_Outgoing]:
        """Return what has to be sent of rows of one type."""
        known = self._memory.things(rows[0].sheet.name) if rows else {}
        now_us = self._now_us()
        outgoing = []
        for row in rows:
            decision = decide(known.get(row.subject), row.content, now_us=now_us, changed_us=row.changed_us)
            if isinstance(decision, Publish):
                outgoing.append(self._outgoing(row, decision))
        return outgoing

    def _outgoing(self, row: ReadRow, decision: Publish) -> _Outgoing:
        thing = Thing(decision.revision, row.content, decision.time_us)
        body = self._builder(row)(decision.revision, decision.time_us)
        return _Outgoing(row, Intended(row.sheet.name, row.subject, thing, body))

    def _builder(self, row: ReadRow) -> Build:
        def build(revision: int, time_us: int) -> bytes:
            return event_bytes(
                source=self._source, name=row.sheet.name, dataschema=row.sheet.dataschema, subject=row.subject,
                revision=revision, time_us=time_us, data=row.data,
            )  # fmt: skip

        return build

    def send(self, chunk: Sequence[_Outgoing]) -> Sent:
        """Send a chunk and return when each of it is taken in or refused. Raises `ClientError`."""
        self._memory.intend(outgoing.intended for outgoing in chunk)
        results = self._client.send(outgoing.intended.body for outgoing in chunk)
        pairs = list(zip(chunk, results, strict=True))
        conflicts = [outgoing for outgoing, result in pairs if result.problem_name == "conflict"]
        refused = [
            (outgoing, result) for outgoing, result in pairs if result.refused and result.problem_name != "conflict"
        ]
        self._memory.settle(
            [outgoing.intended for outgoing, result in pairs if not result.refused],
            [outgoing.intended for outgoing, _ in refused],
        )
        for outgoing, result in refused:
            self._refuse(outgoing.row, result)
        return _count(results).plus(self._catch_up(conflicts) if conflicts else Sent())

    def _catch_up(self, conflicts: Sequence[_Outgoing]) -> Sent:
        """Find out where things stand of which the gateway knows more than we do, and go on from there."""
        behind = [(self._builder(outgoing.row), outgoing.intended.thing) for outgoing in conflicts]
        standings = find_standings(self._client.validate, behind)
        same, newer = [], []
        for outgoing, standing in zip(conflicts, standings, strict=True):
            known = Thing(standing.revision, outgoing.row.content if standing.same else b"", standing.time_us)
            if standing.same:
                same.append(outgoing.intended._replace(thing=known))
            else:
                newer.append(self._after(outgoing.row, known, standing))
        self._memory.settle(same, [outgoing.intended for outgoing in newer])
        return Sent(duplicates=len(same)).plus(self.send(newer) if newer else Sent())

    def _after(self, row: ReadRow, known: Thing, standing: Standing) -> _Outgoing:
        decision = decide(known, row.content, now_us=self._now_us(), changed_us=row.changed_us)
        assert not isinstance(decision, Unchanged), standing  # noqa: S101  # the contents differ
        return self._outgoing(row, decision)


def _count(results: Sequence[Result]) -> Sent:
    statuses = [result.status for result in results]
    return Sent(statuses.count("accepted"), statuses.count("duplicate"))
