"""Put the demo together: a folder, the ordinary gateway, and the player beside it."""

import asyncio
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from threading import Event as Signal
from types import FrameType

import uvloop

from exchange_gateway.core.access import Role
from exchange_gateway.demo.day import Happening, play_ending
from exchange_gateway.demo.folder import DemoFolder, demo_folder
from exchange_gateway.demo.guide import STRUER, TOKENS, Place, line_for, render, things_to_try
from exchange_gateway.demo.player import SHEETS, Player
from exchange_gateway.demo.systems import STATE
from exchange_gateway.main import Gateway, serve
from exchange_gateway.settings import Settings
from exchange_gateway.telemetry import configure_logging
from exchange_gateway.tokens import sign_token
from municipality_connectors.mapping.sheet_types import sheet_type
from schemas.identifiers import EventName

TOKEN_TTL_S = 7 * 24 * 3600


def run_demo(port: int, data: Path | None) -> None:
    """Run until Ctrl-C. Raises `LogError`, `PortInUse`."""
    configure_logging("warning", as_json=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        # The server stops for these by itself and raises them once more when it has; then it is the end.
        signal.signal(number, _ignore)
    with demo_folder(data, datetime.now(UTC)) as folder:
        # A demo has no settings: what is set for a real instance on this machine must not reach it.
        settings = Settings.model_construct(data=folder.path, port=port)
        uvloop.run(_Demo(folder).run(settings))
    _say("Stopped.")


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing."""


@dataclass
class _Demo:
    folder: DemoFolder
    stopped: Signal = field(default_factory=Signal)
    playing: "asyncio.Task[None] | None" = None

    async def run(self, settings: Settings) -> None:
        """Serve, and play beside it. Whatever stops the one stops the other."""
        try:
            await serve(settings, self._started)
        finally:
            self.stopped.set()
            if self.playing is not None:
                await self.playing

    async def _started(self, gateway: Gateway, url: str) -> None:
        self.playing = asyncio.create_task(asyncio.to_thread(self._play, gateway, url))
        self.playing.add_done_callback(self._end_server)

    def _end_server(self, _playing: object) -> None:
        if not self.stopped.is_set():
            signal.raise_signal(signal.SIGTERM)

    def _play(self, gateway: Gateway, url: str) -> None:
        def token(participant: str, *roles: Role) -> str:
            return sign_token(
                gateway.keys.signing, participant=participant, roles=roles, audience=gateway.settings.tokens.audience,
                ttl_s=TOKEN_TTL_S, now_s=int(time.time()), client=f"demo:{participant}",
            )  # fmt: skip

        with Player(url, self.folder.path, lambda who: token(who, Role.PUBLISHER), self.stopped) as player:
            player.wait_until_ready()
            agreements = player.load_agreements(token("operator", Role.OPERATOR))
            events = 0 if self.folder.played else player.play_day(self.folder.ends_at)
            if not self.stopped.is_set():
                self.folder.remember(played=True)
                tokens = {role: token(participant, role) for role, participant in TOKENS}
                _say(self._welcome(url, tokens, agreements, events))
            player.go_on(Random(self.folder.starts), lambda happening: _say(line_for(happening)))  # noqa: S311

    def _welcome(self, url: str, tokens: dict[Role, str], agreements: int, events: int) -> str:
        place = _place(url, self.folder.path)
        summary = f"{agreements} agreements are loaded, and {events} events of a sample day are published."
        if not events:
            summary = f"{agreements} agreements are loaded; the sample day is in {self.folder.path} already."
        name, ending = SHEETS[STRUER]
        sheet = self.folder.path / name / f"{sheet_type(EventName.JOB_ORDER).file_name}{ending}"
        tries = things_to_try(place, _first_order(self.folder).thing_id, sheet, self.folder.path / name / STATE)
        return render(place, tokens, tries, summary, temporary=self.folder.temporary)


def _first_order(folder: DemoFolder) -> Happening:
    day = play_ending(folder.ends_at)
    return next(row for row in day if row.participant == STRUER and row.name == EventName.JOB_ORDER)


def _place(url: str, folder: Path) -> Place:
    python = Path(sys.executable)
    return Place(url, folder, python.with_name("kommunebro"), python, shutil.which("curl") is not None)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
