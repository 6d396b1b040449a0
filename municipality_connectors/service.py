"""A connector as a service: run again and again, and as soon as a watched file changes, until it is told to stop."""

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType

from municipality_connectors.called import called
from municipality_connectors.connecting import DISCONNECTED_PATIENCE_S, run_once, take_call
from municipality_connectors.connector_file.loading import Connector, ConnectorFileWrong, load_connector
from municipality_connectors.mapping.dates import COPENHAGEN
from municipality_connectors.presentation import run_in_a_line
from municipality_connectors.report import PublishReport
from municipality_connectors.running.taking import Habits
from municipality_connectors.sources.webhook import CallPortion, Webhook
from schemas.registry import Registry

LOOK_EVERY_S = 2.0
"""How often watched files are looked at."""

SEND_AGAIN_AFTER_S = 30.0
"""How soon what waits is tried again while the gateway is away."""

TokenOf = Callable[[Connector], str]
Say = Callable[[str], None]


@dataclass
class Service:
    """Runs one connector file. token_of: a connector's token. say: shows a line, in Danish.

    to: the gateway, instead of the file's.
    """

    path: Path
    token_of: TokenOf
    say: Say
    to: str | None = None

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._registry = Registry.load("warn")
        self._told: set[str] = set()

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Stop after what is under way."""
        self._stop.set()

    def run(self) -> None:
        """Run until `stop`, or a signal to end. Raises `ConnectorFileWrong` when the file is wrong at the start."""
        connector = load_connector(self.path, self.to)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)
        self.say(f"Forbindelsen {connector.name} kører hver {connector.every_s}. sekund. Stop den med Ctrl+C.")
        if connector.opened.webhook is not None:
            self._serve(connector, connector.opened.webhook)
            return
        while not self._stop.is_set():
            connector = self._newest(connector)
            watched = connector.opened.watched
            before = None if watched is None else watched.seen()
            due = time.time() + connector.every_s
            report = run_once(
                connector, self.token_of(connector), habits=Habits(), registry=self._registry,
                patience_s=DISCONNECTED_PATIENCE_S, next_run_us=int(due * 1_000_000),
            )  # fmt: skip
            self._tell(report, due)
            self._wait(connector, report.waiting, due, before)

    def _serve(self, connector: Connector, webhook: Webhook) -> None:
        """Take calls, and send what they told: at once, or when the gateway is back."""
        woken = threading.Event()

        def take(portion: CallPortion) -> PublishReport:
            report = take_call(connector, portion, registry=self._registry)
            woken.set()
            return report

        with called(webhook, take):
            self.say(f"Der lyttes på {webhook.host}:{webhook.port}: {', '.join(hook.path for hook in webhook.hooks)}.")
            while not self._stop.is_set():
                woken.clear()
                # Its token may have been renewed; what is listened to stays as it was.
                connector = self._newest(connector)
                due = time.time() + min(connector.every_s, SEND_AGAIN_AFTER_S)
                report = run_once(
                    connector, self.token_of(connector), habits=Habits(), registry=self._registry,
                    patience_s=DISCONNECTED_PATIENCE_S, read=False, next_run_us=int(due * 1_000_000),
                )  # fmt: skip
                if report.accepted or report.failure or report.refusals:
                    self._tell(report, due)
                while not self._stop.is_set() and not woken.wait(0.2) and time.time() < due:
                    pass

    def _newest(self, connector: Connector) -> Connector:
        """Read the file again: a change counts from the next run on, and a slip in it stops nothing."""
        try:
            return load_connector(self.path, self.to)
        except ConnectorFileWrong as error:
            self.say(f"{self.path} er ændret og kan ikke bruges; der køres videre med den gamle. {error}")
            return connector

    def _wait(self, connector: Connector, waiting: int, due: float, before: object) -> None:
        """Wait for the next run; meanwhile try to send what waits."""
        again = time.time() + SEND_AGAIN_AFTER_S
        while not self._stop.wait(min(LOOK_EVERY_S, max(0.0, due - time.time()))) and time.time() < due:
            if connector.opened.watched is not None and connector.opened.watched.seen() != before:
                return
            if waiting and time.time() >= again:
                report = run_once(
                    connector, self.token_of(connector), habits=Habits(), registry=self._registry,
                    patience_s=DISCONNECTED_PATIENCE_S, read=False, next_run_us=int(due * 1_000_000),
                )  # fmt: skip
                self._tell(report, due)
                waiting, again = report.waiting, time.time() + SEND_AGAIN_AFTER_S

    def _tell(self, report: PublishReport, due: float) -> None:
        now, then = (datetime.fromtimestamp(moment, COPENHAGEN).strftime("%H:%M:%S") for moment in (time.time(), due))
        self.say(f"{now} {run_in_a_line(report)} Næste kl. {then}.")
        found = {refusal.message_with_place for refusal in report.refusals}
        found |= {notice.message for notice in report.notices} | ({report.failure.message} if report.failure else set())
        # What was said stays true until it is mended; said every five minutes, nobody would read it.
        for message in sorted(found - self._told):
            self.say(f"  {message}")
        self._told = found
