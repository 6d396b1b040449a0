"""Exactly-once processing in one SQLite file: one transaction, and an epoch that fences the predecessor."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import Self

import apsw
import orjson

from broker_adapters.embedded.database import fetch
from broker_adapters.embedded.engine import Engine
from broker_adapters.embedded.requests import Commit, Enter
from broker_adapters.log import Fenced, LogClosed, NewRecord, Processor, waiting_bytes


class EmbeddedProcessor(Processor):
    """A name and an epoch; all else is in the file."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self._name = engine, name
        self._epoch = 0
        self._committing = False
        self._positions: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        self._epoch, self._positions = await self._engine.ask(Enter(self._name))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._epoch = 0

    def positions(self) -> dict[str, int]:
        return dict(self._positions)

    async def load(self, keys: Iterable[str]) -> dict[str, bytes]:
        self._check_entered()
        return await self._engine.read(load_state, self._name, list(keys))

    async def commit(
        self,
        *,
        outputs: Sequence[tuple[str, NewRecord]] = (),
        state: Mapping[str, bytes | None] | None = None,
        positions: Mapping[str, int] | None = None,
        visible: bool = False,  # noqa: ARG002  # what is committed here can be read at once
    ) -> None:
        self._check_entered()
        if self._committing:
            raise RuntimeError("A processor commits one step at a time.")
        batches, size_bytes = [], 0
        for topic, group in groupby(outputs, itemgetter(0)):
            records = [record for _, record in group]
            size_bytes += waiting_bytes(topic, records)
            batches.append((self._engine.topic(topic).id, records))
        commit = Commit(
            self._name,
            self._epoch,
            outputs=batches,
            state=state or {},
            positions=positions or {},
            size_bytes=size_bytes,
        )
        self._committing = True
        try:
            await self._engine.ask(commit)
        except Fenced:
            raise  # and Fenced it stays
        except BaseException:
            self._epoch = 0  # nobody knows what became of it, so another processor must be entered
            raise
        finally:
            self._committing = False
        self._positions |= positions or {}

    def _check_entered(self) -> None:
        if not self._epoch:
            raise LogClosed(f"Processor {self._name!r} is not entered, or a commit failed: enter a new one.")


def load_state(connection: apsw.Connection, name: str, keys: list[str]) -> dict[str, bytes]:
    """Return what is stored under each of `keys`, in one statement however many they are."""
    rows = fetch(
        connection,
        "SELECT key, value FROM state WHERE processor = ? AND key IN (SELECT value FROM json_each(?))",
        (name, orjson.dumps(keys).decode()),
    )
    return dict(rows)
