"""Run a connector: once, as a look at what it would do, or for as long as the process lives."""

import sqlite3
import time
from collections.abc import Callable

from kommunebro import BadAddress, Client, ClientError, TokenRefused
from kommunebro.core.asking import PATIENCE_S
from municipality_connectors.connector_file.loading import Connector
from municipality_connectors.delivering.delivery import deliver
from municipality_connectors.report import Failure, Notice, PublishReport
from municipality_connectors.running.reading import now_us
from municipality_connectors.running.run import OnProgress, Run, failure, no_progress
from municipality_connectors.running.taking import Habits
from municipality_connectors.sources.portion import Portion
from municipality_connectors.state.delivered import Delivered
from municipality_connectors.state.store import Store, StoreUnusable, default_folder
from municipality_connectors.tables import SourceError
from schemas.event import format_time
from schemas.registry import Registry

PLANNED_SHOWN = 3
"""So many rows a look shows as they would be published."""

_DISK = (
    "Forbindelsens hukommelse kan ikke skrives ({0}: {1}). Er disken fuld, eller er filen beskadiget? Intet er gået "
    "tabt; kør igen, når det er rettet."
)

_NOT_LOOKED_AT = (
    "Filen har også {} [[deliver]]. Hvad der ville blive leveret, ses ikke på forhånd: det står hos gatewayen. Kør med "
    "--once; det, der leveres, kan leveres igen uden skade."
)

_SEE_REFUSED = "Afvist af gatewayen, og ikke rettet endnu: {}. Se hvorfor: kommunebro connect refused {}"

AWAY = "gateway-unavailable"
"""The failure of which the gateway need not be told: it would not hear."""

DISCONNECTED_PATIENCE_S = 5.0
"""A gateway that is away is asked again at the next run; meanwhile rows are read and kept."""


def store_of(connector: Connector) -> Store:
    """Return where a connector remembers."""
    return Store((connector.state_folder or default_folder()) / f"{connector.name}.sqlite3")


def run_once(
    connector: Connector,
    token: str,
    *,
    habits: Habits,
    registry: Registry,
    on_progress: OnProgress = no_progress,
    clock_us: Callable[[], int] = now_us,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
    read: bool = True,
    next_run_us: int | None = None,
) -> PublishReport:
    """Run a connector once, and say what became of each row. Nothing is raised for what goes wrong on the way.

    sleep: waits before the gateway is asked again, in seconds. read: False to send only what waits. next_run_us: when
    the next run is due, which the gateway is told.
    """
    report = PublishReport(planned_max=PLANNED_SHOWN)
    try:
        with Client(connector.url, token, patience_s=patience_s, sleep=sleep) as client, store_of(connector) as store:
            run = Run(
                store, client, report, source=connector.source_name, registry=registry, habits=habits,
                clock_us=clock_us, on_progress=on_progress, pace_events_s=connector.pace_events_s,
                plans=connector.plans,
            )  # fmt: skip
            run.send_left()
            if read:
                _read(connector, run, each=run.drain)
                run.drain()
            for delivery in connector.deliveries if report.failure is None else ():
                delivered = Delivered(store.database, run.book, delivery.name)
                deliver(delivery, client, delivered, report, again=habits.again)
            run.finish()
            if report.still_refused:
                report.notices.append(Notice("", _SEE_REFUSED.format(report.set_aside, connector.as_typed)))
            if report.failure is None or report.failure.problem != AWAY:
                tell(client, connector, report, now_us=clock_us(), next_run_us=next_run_us)
    except StoreUnusable as error:
        report.failure = Failure("memory-unusable", str(error))
    except sqlite3.Error as error:
        report.failure = Failure("memory-unusable", _DISK.format(type(error).__name__, error))
    except BadAddress as error:
        report.failure = failure(error, connector.url)
    return report


def take_call(connector: Connector, portion: Portion, *, registry: Registry) -> PublishReport:
    """Keep what a webhook was told, while the service may be sending; durable on return."""
    report = PublishReport()
    with store_of(connector).looking() as store:
        run = Run(store, None, report, source=connector.source_name, url=connector.url, registry=registry, fill=False)
        run.take(portion, connector.plans)
    return report


def tell(client: Client, connector: Connector, report: PublishReport, *, now_us: int, next_run_us: int | None) -> None:
    """Tell the gateway how the connector is: counts, times, and the name of what is wrong, never what was read.

    A gateway that is too old, or away just now, is told next time. That it refuses the token is put in the report.
    """
    told = {
        "system": connector.system, "kind": connector.kind, "waiting": report.waiting, "sent": report.accepted,
        "refused": max(0, report.refused - report.refused_there) + report.set_aside, "lastRun": format_time(now_us),
        "problem": report.unreadable or (report.failure and report.failure.problem),
    }  # fmt: skip
    moments = {"waitingSince": report.waiting_since_us, "nextRun": next_run_us}
    told |= {name: format_time(moment) for name, moment in moments.items() if moment is not None}
    try:
        client.tell_connector(connector.name, told, participant=connector.participant)
    except TokenRefused as error:
        # Where nothing was to be sent, nothing else has asked whether the token is good.
        report.failure = report.failure or failure(error, connector.url)
    except ClientError:
        return


def look(
    connector: Connector,
    *,
    registry: Registry,
    planned: int = PLANNED_SHOWN,
    on_progress: OnProgress = no_progress,
    clock_us: Callable[[], int] = now_us,
) -> PublishReport:
    """Say what a run would publish and refuse; nothing is sent, kept or written."""
    report = PublishReport(planned_max=planned)
    store = store_of(connector)
    if store.path is not None and not store.path.exists():
        store = Store(None)
    try:
        with store.looking() as opened:
            run = Run(
                opened, None, report, source=connector.source_name, url=connector.url, registry=registry, fill=False,
                habits=Habits(dry=True), clock_us=clock_us, on_progress=on_progress,
            )  # fmt: skip
            _read(connector, run, each=lambda: None)
            run.finish()
            if connector.deliveries:
                report.notices.append(Notice("", _NOT_LOOKED_AT.format(len(connector.deliveries))))
    except StoreUnusable as error:
        report.failure = Failure("memory-unusable", str(error))
    return report


def _read(connector: Connector, run: Run, *, each: Callable[[], None]) -> None:
    try:
        source = connector.source()
    except SourceError as error:
        run.refuse(error)
        return
    run.read(source, connector.plans, each=each)
    run.take_back(connector.plans)
