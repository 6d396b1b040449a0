"""Send what waits in the outbox, in its order, until the gateway has taken it in or refused it.

What is sent stays in the outbox until it is acknowledged, so after a crash the same events go again and are
recognised. A number that is taken leads to `catching_up.py`.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import NamedTuple

from kommunebro import Client, Result
from kommunebro.core.publishing import CHUNK_EVENTS
from municipality_connectors.mapping.changes import Thing, event_bytes
from municipality_connectors.running.catching_up import Build, find_standings
from municipality_connectors.state.outbox import Outbox, Refusal, State

PACE_EVENTS_S = 10_000.0
"""As many events a second at most: when a gateway comes back, everybody's outbox is emptied at the same time."""


ANOTHER_SOURCE = "another-source"
"""What the gateway says to a token that is another participant's: no row is wrong, so none is set aside."""


class AnotherParticipant(Exception):
    """The token speaks for another participant than the events' source names. Nothing was taken in or set aside."""


Worded = Callable[[State, Result], str]
"""What a refusal means, in Danish."""


class _Sending(NamedTuple):
    """States on their way. began_s: monotonic."""

    states: Sequence[State]
    answer: Future[list[Result]]
    began_s: float


class Draining:
    """Sends one source's outbox.

    counted: told how many events were taken in, and how many the gateway had already. on_refused: told of each state
    that is refused. on_sent: of how many have an answer.
    """

    def __init__(
        self,
        client: Client,
        outbox: Outbox,
        source: str,
        *,
        clock_us: Callable[[], int],
        worded: Worded,
        counted: Callable[[int, int], None],
        on_refused: Callable[[State, Result], None] = lambda _state, _result: None,
        on_sent: Callable[[int], None] = lambda _count: None,
        pace_events_s: float = PACE_EVENTS_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._outbox, self._source, self._clock_us = client, outbox, source, clock_us
        self._worded, self._counted, self._on_refused, self._on_sent = worded, counted, on_refused, on_sent
        self._pace, self._sleep = pace_events_s, sleep

    def run(self) -> None:
        """Send until nothing waits. What was not acknowledged waits still.

        Raises `ClientError`, `AnotherParticipant`.
        """
        sending = self._begun(self._outbox.next(CHUNK_EVENTS))
        while sending is not None:
            # Read while the gateway is at work, as is the settling of what it has answered.
            following = self._outbox.next(CHUNK_EVENTS, after=sending.states[-1].number)
            results = sending.answer.result()
            if any(result.problem_name == ANOTHER_SOURCE for result in results):
                raise AnotherParticipant
            self._sleep(max(0.0, len(results) / self._pace - (time.monotonic() - sending.began_s)))
            if any(result.refused for result in results):
                # What follows of the same things may get other numbers.
                self._settle(sending.states, results)
                sending = self._begun(self._outbox.next(CHUNK_EVENTS))
            else:
                answered, sending = sending, self._begun(following)
                self._settle(answered.states, results)

    def _begun(self, states: Sequence[State]) -> "_Sending | None":
        """Begin to send states, in a thread of their own; None where there are none."""
        if not states:
            return None
        events = [self._builder(state)(state.thing.revision, state.thing.time_us) for state in states]
        answer: Future[list[Result]] = Future()

        def send() -> None:
            try:
                answer.set_result(self._client.send(events))
            except BaseException as error:  # noqa: BLE001  # it is raised where it is waited for
                answer.set_exception(error)

        # Not of an executor: whoever ends the command would have to wait for the gateway.
        Thread(target=send, name="sending", daemon=True).start()
        return _Sending(states, answer, time.monotonic())

    def _settle(self, states: Sequence[State], results: Sequence[Result]) -> None:
        taken, refused, conflicts = [], [], []
        for state, result in zip(states, results, strict=True):
            if not result.refused:
                taken.append(state)
            elif result.problem_name == "conflict":
                conflicts.append(state)
            else:
                refused.append(Refusal(state, result.problem_name, self._worded(state, result)))
                self._on_refused(state, result)
        self._outbox.settle(taken, refused, now_us=self._clock_us())
        same = self._catch_up(conflicts) if conflicts else 0
        statuses = [result.status for result in results]
        self._counted(statuses.count("accepted"), statuses.count("duplicate") + same)
        self._on_sent(len(states))

    def _catch_up(self, conflicts: Sequence[State]) -> int:
        """Find out where things stand of which the gateway knows more than we do; how many it has as they are."""
        standings = find_standings(self._client.validate, [(self._builder(state), state.thing) for state in conflicts])
        for state, standing in zip(conflicts, standings, strict=True):
            newest = Thing(standing.revision, state.thing.content if standing.same else b"", standing.time_us)
            if standing.same:
                self._outbox.found(state, newest)
            else:
                self._outbox.renumber(state, newest)
        return sum(standing.same for standing in standings)

    def _builder(self, state: State) -> Build:
        def build(revision: int, time_us: int) -> bytes:
            return event_bytes(
                source=self._source, name=state.name, dataschema=state.dataschema, subject=state.subject,
                revision=revision, time_us=time_us, data=state.data,
            )  # fmt: skip

        return build
