"""What is asked of a gateway beside publishing: each call is a request, and what is made of its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import orjson

from kommunebro.answers import Agreement, DryRun, Filter, JobOrderItem, Pulled, Query, Subscription, Trace
from kommunebro.core.asking import Again, Answer, Gateway, Program, Request, ask, not_ours, promised, segment
from kommunebro.core.server_sent import Decoder
from kommunebro.errors import Problem

PAGE = 500
"""Items asked for at once."""

SUBSCRIPTIONS, JOB_ORDERS, ALLIANCES = "/v1/subscriptions", "/v1/job-orders", "/v1/alliances"
RECORDS, BOUNDS = "/v1/audit/records", "/v1/audit/bounds"
TRACE, QUARANTINE, CONNECTORS = "/v1/trace", "/v1/quarantine", "/v1/connectors"
CHECK_FORWARDING = "/v1/audit/forwarding:check"
AS_OF_TIMEOUT_S = 120.0
"""A replay as of an instant waits until nothing older can still appear."""

SILENCE_S = 45.0
"""A stream that says nothing for so long is dead: a comment comes every 15 s."""

_HEALTH, _HEALTH_PATIENCE_S = "/healthz", 3.0
_JSON = {"Content-Type": "application/json"}


def params(given: Query) -> dict[str, str]:
    """Return a query's parameters, without those that are left out."""
    return {name: str(value) for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that comes in pages. key: under which an answer has its items."""

    path: str
    key: str
    params: Mapping[str, str]

    def page(self, gateway: Gateway, after: str | None) -> Program[tuple[list[Any], str | None]]:
        """Return a page's items, and where the next begins; None at the end."""
        asked = {"limit": str(PAGE), **self.params, **({} if after is None else {"after": after})}
        found = yield from json_of(gateway, Request("GET", self.path, asked), self.key)
        return found[self.key], found.get("next")


def json_of(gateway: Gateway, request: Request, *names: str) -> Program[dict[str, Any]]:
    """Return an answer's JSON object, which has these names at least. Raises `ClientError`."""
    answer = yield from ask(gateway, request)
    return promised(gateway, answer, *names)


def _sent(method: str, path: str, body: object, again: Again, headers: Mapping[str, str] | None = None) -> Request:
    return Request(method, path, body=orjson.dumps(body), headers={**_JSON, **(headers or {})}, again=again)


def instance(gateway: Gateway) -> Program[str | None]:
    """Return the instance's name; soon, since a wrong address should not take a minute."""
    soon = replace(gateway, patience_s=min(gateway.patience_s, _HEALTH_PATIENCE_S))
    name = (yield from json_of(soon, Request("GET", _HEALTH))).get("instance")
    return name if isinstance(name, str) else None


def job_order(gateway: Gateway, job_order_id: str, owner: str | None) -> Program[JobOrderItem]:
    """Return one job order."""
    request = Request("GET", f"{JOB_ORDERS}/{segment(job_order_id)}", params({"owner": owner}))
    return cast("JobOrderItem", (yield from json_of(gateway, request, "jobOrderId")))


def wishes(
    name: str, types: Sequence[str] | None, alliances: Sequence[str] | None, wanted: Filter | None, start: str
) -> dict[str, Any]:
    """Return the body of a new subscription."""
    given = {"name": name, "types": types, "alliances": alliances, "filter": wanted, "start": start}
    return {key: value for key, value in given.items() if value is not None}


def create(gateway: Gateway, body: Mapping[str, Any]) -> Program[Subscription]:
    """Make a subscription; twice would make two."""
    request = _sent("POST", SUBSCRIPTIONS, body, Again.UNTAKEN)
    return cast("Subscription", (yield from json_of(gateway, request, "id", "cursor")))


def dry_run(gateway: Gateway, body: Mapping[str, Any], limit: int) -> Program[DryRun]:
    """Return what a subscription would have brought."""
    request = replace(_sent("POST", f"{SUBSCRIPTIONS}:dry-run", body, Again.ALWAYS), params={"limit": str(limit)})
    return cast("DryRun", (yield from json_of(gateway, request, "events")))


def subscription(gateway: Gateway, subscription_id: str) -> Program[Subscription]:
    """Return one subscription."""
    request = Request("GET", one(subscription_id))
    return cast("Subscription", (yield from json_of(gateway, request, "id", "cursor")))


def change(gateway: Gateway, subscription_id: str, changes: Mapping[str, Any]) -> Program[Subscription]:
    """Change a subscription; the same once more changes nothing more."""
    request = _sent("PATCH", one(subscription_id), changes, Again.UNTAKEN)
    return cast("Subscription", (yield from json_of(gateway, request, "id", "cursor")))


def delete(gateway: Gateway, subscription_id: str) -> Program[None]:
    """Delete a subscription."""
    yield from ask(gateway, Request("DELETE", one(subscription_id), again=Again.UNTAKEN))


def pull(gateway: Gateway, subscription_id: str, limit: int, wait_s: float, after: str | None) -> Program[Pulled]:
    """Return what follows."""
    asked = params({"limit": limit, "wait": f"{wait_s:g}" if wait_s else None, "after": after})
    request = Request("GET", f"{one(subscription_id)}/events", asked)
    request = replace(request, timeout_s=request.timeout_s + wait_s)
    return cast("Pulled", (yield from json_of(gateway, request, "events", "cursor")))


def commit(gateway: Gateway, subscription_id: str, cursor: str) -> Program[Subscription]:
    """Commit a cursor; it never goes backwards, so twice is as good as once."""
    request = _sent("POST", f"{one(subscription_id)}/cursor", {"cursor": cursor}, Again.ALWAYS)
    return cast("Subscription", (yield from json_of(gateway, request, "cursor")))


def commit_unless_rewound(gateway: Gateway, subscription_id: str, cursor: str) -> Program[None]:
    """Commit, unless somebody rewound the subscription meanwhile: then what follows is pulled from there."""
    try:
        yield from commit(gateway, subscription_id, cursor)
    except Problem as problem:
        if problem.name != "cursor-rewound":
            raise


def rewind(gateway: Gateway, subscription_id: str, to: str) -> Program[Subscription]:
    """Rewind; a second time would take back what was committed in between."""
    request = _sent("POST", f"{one(subscription_id)}/cursor", {"rewind": to}, Again.UNTAKEN)
    return cast("Subscription", (yield from json_of(gateway, request, "cursor")))


def alliance(gateway: Gateway, alliance_id: str) -> Program[Agreement]:
    """Return an agreement."""
    answer = yield from ask(gateway, Request("GET", f"{ALLIANCES}/{segment(alliance_id)}"))
    return _agreement(gateway, answer)


def put_alliance(gateway: Gateway, body: Mapping[str, Any], etag: str | None) -> Program[Agreement]:
    """Write an agreement: the version after the one that `etag` names, or a new one."""
    condition = {"If-None-Match": "*"} if etag is None else {"If-Match": etag}
    path = f"{ALLIANCES}/{segment(str(body.get('id', '')))}"
    answer = yield from ask(gateway, _sent("PUT", path, body, Again.UNTAKEN, condition))
    return _agreement(gateway, answer)


def _agreement(gateway: Gateway, answer: Answer) -> Agreement:
    etag = answer.headers.get("etag")
    if etag is None:
        raise not_ours(gateway.url)
    return Agreement(promised(gateway, answer, "id"), etag)


def trace(gateway: Gateway, asked: Query) -> Program[Trace]:
    """Return an event's way."""
    return cast("Trace", (yield from json_of(gateway, Request("GET", TRACE, params(asked)), "event")))


def bounds(gateway: Gateway, filters: Query) -> Program[dict[str, Any]]:
    """Fix where a replay begins and ends."""
    request = Request("GET", BOUNDS, params(filters), timeout_s=AS_OF_TIMEOUT_S)
    return (yield from json_of(gateway, request, "topics"))


def replay(filters: Query, within: Mapping[str, Any] | None) -> Request:
    """Return the request for records: by filters, or within bounds that were fixed before."""
    asked = Request("GET", RECORDS, params(filters))
    if within is not None:
        asked = replace(_sent("POST", RECORDS, within, Again.ALWAYS), params=asked.params)
    return replace(asked, timeout_s=AS_OF_TIMEOUT_S, streamed=True)


def recheck() -> Request:
    """Return the request to decide everything that was forwarded once more."""
    return Request("GET", CHECK_FORWARDING, timeout_s=AS_OF_TIMEOUT_S, streamed=True)


def tell_connector(gateway: Gateway, name: str, report: Mapping[str, Any], participant: str | None) -> Program[None]:
    """Tell how a connector is; the newest counts, so twice is as good as once."""
    request = _sent("PUT", f"{CONNECTORS}/{segment(name)}", report, Again.ALWAYS)
    yield from ask(gateway, replace(request, params=params({"participant": participant})))


def stream(subscription_id: str, place: Decoder) -> Request:
    """Return the request for a stream that goes on where `place` is."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": place.last_id} if place.last_id else {})
    return Request("GET", f"{one(subscription_id)}/stream", headers=headers, timeout_s=SILENCE_S, streamed=True)


def one(subscription_id: str) -> str:
    """Return a subscription's path."""
    return f"{SUBSCRIPTIONS}/{segment(subscription_id)}"
