"""Plays the sample day, and then goes on: in a thread of its own, through the doors that everybody uses."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from threading import Event as Signal
from typing import Self

import httpx

from exchange_gateway.agreements import packaged_agreements
from exchange_gateway.demo.day import COPENHAGEN, Happening, play_ending
from exchange_gateway.demo.going_on import GoingOn
from exchange_gateway.demo.systems import HttpSystem, MunicipalSystem, SheetSystem
from kommunebro import Client, GatewayUnavailable, Problem
from schemas.identifiers import EventName
from schemas.registry import Registry

PAUSE_S = (2.0, 6.0)
"""Between two events of the going on: often enough to see it live, slow enough to read."""

READY_TIMEOUT_S = 30.0


class Player:
    """The sample municipalities. Use as a context manager; all methods belong to one thread.

    token_for: from a participant to a bearer token that lets it publish. stopped: set from outside to end it.
    """

    def __init__(self, url: str, folder: Path, token_for: Callable[[str], str], stopped: Signal) -> None:
        self._url, self._folder, self._token_for, self._stopped = url, folder, token_for, stopped
        self._registry = Registry.load()
        self._closing = ExitStack()
        self._systems: dict[tuple[str, EventName | None], MunicipalSystem] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def wait_until_ready(self) -> None:
        """Return when the gateway serves. Raises `GatewayUnavailable`."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._stopped.is_set():
            try:
                if httpx.get(f"{self._url}/readyz", timeout=READY_TIMEOUT_S).is_success:
                    return
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                raise GatewayUnavailable(f"The demo's gateway at {self._url} did not get ready.")
            self._stopped.wait(0.05)

    def load_agreements(self, operator_token: str) -> int:
        """Make the alliances that ship with Kommunebro, where they are not there yet; returns how many there are."""
        agreements = packaged_agreements()
        with Client(self._url, operator_token) as client:
            for agreement in agreements:
                try:
                    client.put_alliance(agreement)
                except Problem as problem:
                    if problem.name != "precondition-failed":
                        raise
        return len(agreements)

    def play_day(self, ends_at: datetime) -> int:
        """Play what happened until `ends_at`; returns the number of events."""
        happenings = play_ending(ends_at)
        for happening in happenings:
            if not self._stopped.is_set():
                self._system(happening).register(happening)
        return len(happenings)

    def go_on(self, random: Random, told: Callable[[Happening], None]) -> None:
        """Publish something every few seconds until it is stopped; `told` hears of each event."""
        going_on = GoingOn(random)
        while not self._stopped.wait(random.uniform(*PAUSE_S)):
            happening = going_on.next(datetime.now(UTC).astimezone(COPENHAGEN))
            try:
                self._system(happening).register(happening)
            except GatewayUnavailable:
                # It is being stopped, or its disk is full; either way somebody else says so.
                continue
            told(happening)

    def _pause(self, seconds: float) -> None:
        self._stopped.wait(seconds)

    def _system(self, happening: Happening) -> MunicipalSystem:
        key = (happening.participant, happening.name if happening.door == "sheet" else None)
        if key not in self._systems:
            self._systems[key] = self._new_system(happening)
        return self._systems[key]

    def _new_system(self, happening: Happening) -> MunicipalSystem:
        token = self._token_for(happening.participant)
        client = Client(self._url, token, patience_s=10.0, sleep=self._pause)
        self._closing.enter_context(client)
        if happening.door == "http":
            return HttpSystem(client)
        folder, ending = SHEETS[happening.participant]
        return SheetSystem(self._folder / folder, happening, ending, client, self._registry)


SHEETS: Mapping[str, tuple[str, str]] = {"0671": ("struer", ".xlsx"), "0665": ("lemvig", ".csv")}
"""Who keeps what by hand: the folder, and the kind of file."""
