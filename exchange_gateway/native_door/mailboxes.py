"""Making mailboxes: `in.<participant>`, once an agreement lists the participant."""

import asyncio

from broker_adapters.log import Log
from exchange_gateway.telemetry import log_event
from exchange_gateway.workers.agreements import BookKeeper
from schemas.identifiers import mailbox_topic

LOOK_EVERY_S = 1.0
"""How long a participant that is new may wait for its mailbox."""


async def keep_mailboxes(log: Log, books: BookKeeper) -> None:
    """Make the mailboxes that are missing, until cancelled. Raises `LogError`, `UnreadableAgreement`."""
    made: set[str] = set()
    up_to_offset = -1
    while True:
        book = await books.fresh()
        if book.up_to_offset != up_to_offset:
            up_to_offset = book.up_to_offset
            missing = set(map(mailbox_topic, book.participants())) - made
            if missing:
                await log.create_topics(sorted(missing))
                made |= missing
                log_event("mailboxes_created", count=len(missing))
        await asyncio.sleep(LOOK_EVERY_S)
