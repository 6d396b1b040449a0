"""One round of a delivery: pull what is new, put it where it belongs, and commit."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kommunebro import Client, ClientError
from municipality_connectors.delivering.sinks import Sink
from municipality_connectors.report import PublishReport, Refusal
from municipality_connectors.running.run import failure
from municipality_connectors.state.delivered import Delivered
from municipality_connectors.tables import SourceError, unexpected

PULL_EVENTS = 500
FROM_NOW = "latest"
SUBSCRIPTION_NAME = "connect {}"


@dataclass(frozen=True)
class Delivery:
    """What is delivered. name: unlike the connector's others. types: full event types. sink: opens the place."""

    name: str
    types: tuple[str, ...]
    alliances: tuple[str, ...] | None
    start: str
    sink: Callable[[Delivered], Sink]


def deliver(
    delivery: Delivery, client: Client, delivered: Delivered, report: PublishReport, *, again: bool = False
) -> None:
    """Deliver what is new. What goes wrong is in the report; what is not committed comes again.

    again: from where the delivery began, so that what was lost there, or has a new column, is filled anew.

    Raises `sqlite3.Error` where the connector's own memory cannot be used.
    """
    try:
        _deliver(delivery, client, delivered, report, again=again)
    except SourceError as error:
        _tell(report, error.place or delivery.name, error.problem, error.message)
    except ClientError as error:
        report.failure = report.failure or failure(error, client.url, role="reader")
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001  # one delivery stops neither the others nor what is published
        told = unexpected(error)
        _tell(report, delivery.name, told.problem, told.message)


def _tell(report: PublishReport, place: str, problem: str, message: str) -> None:
    report.unreadable = report.unreadable or problem
    report.refusals.append(Refusal(place, problem, message))


def _deliver(delivery: Delivery, client: Client, delivered: Delivered, report: PublishReport, *, again: bool) -> None:
    """Pull until there is nothing more; commit what is in its place, and nothing before."""
    sink = delivery.sink(delivered)
    subscription = _subscription(delivery, client)
    if again and delivery.start != FROM_NOW:
        subscription = client.rewind(subscription["id"], delivery.start)
    behind: str | None = None
    put = 0
    while True:
        pulled = client.pull(subscription["id"], limit=PULL_EVENTS, after=behind)
        behind, events = pulled["cursor"], pulled["events"]
        if events:
            sink.put(events)
            put += len(events)
        is_last = not events and not pulled["lag"]["events"]
        if is_last:
            sink.finish()
        if is_last or not sink.gathers:
            report.delivered, put = report.delivered + put, 0
            if behind != subscription["cursor"]:
                subscription = client.commit(subscription["id"], behind)
        if is_last:
            return


def _subscription(delivery: Delivery, client: Client) -> Mapping[str, Any]:
    """Return the delivery's subscription, made at the first round, and changed where the file was."""
    name = SUBSCRIPTION_NAME.format(delivery.name)
    wanted = {"types": list(delivery.types), "alliances": delivery.alliances and list(delivery.alliances)}
    found = next((one for one in client.subscriptions() if one["name"] == name), None)
    if found is None:
        return client.create_subscription(
            name, types=delivery.types, alliances=delivery.alliances, start=delivery.start
        )
    if {key: found.get(key) for key in wanted} != wanted:
        return client.change_subscription(found["id"], wanted)
    return found
