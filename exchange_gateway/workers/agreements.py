"""Keep the gateway's book of agreements current: the fold of `control.agreements`."""

import asyncio

from broker_adapters.log import Log
from exchange_gateway.core.agreements import AgreementBook
from exchange_gateway.workers.recent import Recently
from schemas.identifiers import AGREEMENTS_TOPIC

READ_TIMEOUT_S = 5.0


class BookKeeper:
    """Holds the book, and reads what is new when somebody needs it to be current."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._reading = asyncio.Lock()
        self._recently = Recently(self.fresh)
        self.book = AgreementBook()

    async def fresh(self) -> AgreementBook:
        """Return the book with everything that was in the log when this was called.

        Whoever leaves an alliance must lose its access at once, so every access decision asks for this.
        Raises `LogError`, and `UnreadableAgreement` for a record that nobody can read.
        """
        end = await self._log.end(AGREEMENTS_TOPIC)
        if end > self.book.up_to_offset:
            async with self._reading:
                await self._read_to(end)
        return self.book

    async def recent(self) -> AgreementBook:
        """Return the book as it was in the log a moment ago: for those who ask again and again. Raises as `fresh`."""
        await self._recently.refreshed()
        return self.book

    async def _read_to(self, end: int) -> None:
        book = self.book
        if end <= book.up_to_offset:
            return
        async with self._log.reader({AGREEMENTS_TOPIC: book.up_to_offset}) as reader:
            while reader.positions()[AGREEMENTS_TOPIC] < end:
                for record in await reader.poll(timeout_s=READ_TIMEOUT_S):
                    book.apply(record.offset, record.value)
                book.read_up_to(reader.positions()[AGREEMENTS_TOPIC])
