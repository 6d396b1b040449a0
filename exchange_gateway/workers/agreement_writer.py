"""Write agreements: read to the end, compare, append, and nobody else in between."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from broker_adapters.log import Fenced, Log, LogUnavailable
from exchange_gateway.clock import Clock
from exchange_gateway.core.access import Principal
from exchange_gateway.core.agreements import Accepted, AgreementBook, KnownFields, Refused, Unchanged, propose
from exchange_gateway.telemetry import log_event
from exchange_gateway.workers.agreements import BookKeeper
from schemas.identifiers import AGREEMENTS_TOPIC

ATTEMPTS = 8
"""How often another gateway may come in between before the caller is told to try again."""

PAUSE_S = 0.02
Decision = Accepted | Unchanged | Refused
Decide = Callable[[AgreementBook], Decision]


class AgreementWriter:
    """Takes proposals for agreements, one at a time."""

    def __init__(self, log: Log, books: BookKeeper, fields: KnownFields, clock: Clock) -> None:
        self._log, self._books, self._fields, self._clock = log, books, fields, clock
        self._one_at_a_time = asyncio.Lock()

    async def put(
        self, principal: Principal, alliance: str, body: Any, *, if_none_match: str | None, if_match: str | None
    ) -> Decision:
        """Decide on a proposal, and write it where it is accepted: then every reader sees it.

        Raises `LogError`; with `outcome_unknown` the version may stand all the same.
        """

        def decide(book: AgreementBook) -> Decision:
            return propose(
                book,
                alliance,
                body,
                fields=self._fields,
                if_none_match=if_none_match,
                if_match=if_match,
                principal=principal,
                now_us=self._clock.now_us(),
            )

        async with self._one_at_a_time:
            decision = await self._write(decide)
        if isinstance(decision, Accepted):
            log_event("agreement_changed", alliance=alliance, version=decision.version, by=principal.participant)
        return decision

    async def _write(self, decide: Decide) -> Decision:
        tried: Accepted | None = None
        for attempt in range(ATTEMPTS):
            await asyncio.sleep(attempt * PAUSE_S)
            book = await self._books.fresh()
            if tried is not None and _stands(book, tried):
                return tried
            decision = decide(book)
            if not isinstance(decision, Accepted):
                return decision
            try:
                # Starting fences whoever was about to write; what is read after that nobody can outdate.
                async with self._log.processor("agreements") as processor:
                    book = await self._books.fresh()
                    if tried is not None and _stands(book, tried):
                        return tried
                    decision = decide(book)
                    if isinstance(decision, Accepted):
                        tried = decision
                        await processor.commit(outputs=[(AGREEMENTS_TOPIC, decision.record)], visible=True)
                    return decision
            except Fenced:
                continue
            except LogUnavailable as error:
                if not error.outcome_unknown:
                    raise
        raise LogUnavailable("Others change agreements at the same moment, or the log does not answer. Try again.")


def _stands(book: AgreementBook, tried: Accepted) -> bool:
    """Whether a version whose commit was not answered is in the log all the same."""
    there = book.version(tried.agreement.id, tried.version)
    wanted = orjson.loads(tried.record.value)
    return there is not None and (there.changed_by, there.changed_at, there.body) == (
        wanted["changedBy"],
        wanted["changedAt"],
        wanted["agreement"],
    )
