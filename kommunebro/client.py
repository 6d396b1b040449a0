"""The client for programs without asyncio."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

import httpx

from kommunebro.answers import (
    Agreement,
    DryRun,
    Filter,
    JobOrderItem,
    Pulled,
    Query,
    Record,
    Streamed,
    Subscription,
    Trace,
)
from kommunebro.core import calls, publishing
from kommunebro.core.asking import PATIENCE_S, Answer, Gateway, Lost, Now, Pause, Program, Renew, Request, address, ask
from kommunebro.core.lines import Lines
from kommunebro.core.publishing import OneEvent
from kommunebro.core.server_sent import Decoder
from kommunebro.dataset import ForwardedEvent
from kommunebro.driving import Token, answer_of, arguments, broken_off, lost, seconds, streamed, until_again, whole
from kommunebro.errors import Result

T = TypeVar("T")


class Client:
    """Talks to one gateway with one token. Use as a context manager; for one thread at a time.

    token: a bearer token, or a function that gets one; it is called again when the gateway does not accept the token
    any more. patience_s: how long one request is tried again. sleep: waits, in seconds; for whoever wants to stop that.

    Every method raises a `ClientError`: `Problem` (or a kind of it, such as `NotFound`) for what the gateway refuses,
    `GatewayUnavailable` when it cannot be had for as long as patience lasts.
    """

    def __init__(
        self, url: str, token: Token, *, patience_s: float = PATIENCE_S, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.url = address(url)
        self._gateway, self._sleep = Gateway(self.url, patience_s), sleep
        self._source = None if isinstance(token, str) else token
        self._token = token if isinstance(token, str) else None
        self._http = httpx.Client(base_url=self.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    # What is published

    def publish(self, events: OneEvent | Iterable[OneEvent]) -> list[Result]:
        """Publish one event or many (dicts, or each one's JSON) and return when all are durable.

        Raises `Refused` when any was refused; the others are taken in. Whatever it raises, sending all again is safe.
        """
        return self._run(publishing.publish(self._gateway, events))

    def send(self, events: OneEvent | Iterable[OneEvent]) -> list[Result]:
        """Publish as `publish` does, but return the refused ones among the results."""
        return self._run(publishing.send(self._gateway, publishing.PUBLISH, events))

    def validate(self, events: OneEvent | Iterable[OneEvent]) -> list[Result]:
        """Return what `send` would, with nothing recorded."""
        return self._run(publishing.send(self._gateway, publishing.VALIDATE, events))

    # What can be read

    def job_orders(
        self, *, owner: str | None = None, alliance: str | None = None, municipality: str | None = None,
        occupation: str | None = None, industry: str | None = None, status: str | None = None,
        since: str | None = None, q: str | None = None,
    ) -> Iterator[JobOrderItem]:  # fmt: skip
        """Iterate over the job orders that you may see, newest first, page by page. since: RFC 3339."""
        asked: Query = {
            "owner": owner, "alliance": alliance, "municipality": municipality, "occupation": occupation,
            "industry": industry, "status": status, "since": since, "q": q,
        }  # fmt: skip
        return self._listed(calls.Listing(calls.JOB_ORDERS, "jobOrders", calls.params(asked)))

    def job_order(self, job_order_id: str, *, owner: str | None = None) -> JobOrderItem:
        """Return one job order. Where two owners have the id, a `Problem` named `ambiguous` lists them: give one."""
        return self._run(calls.job_order(self._gateway, job_order_id, owner))

    def trace(self, event_id: str, *, source: str | None = None, participant: str | None = None) -> Trace:
        """Return where an event went and why, and why not; for a participant, what it received."""
        asked: Query = {"id": event_id, "source": source, "participant": participant}
        return self._run(calls.trace(self._gateway, asked))

    def trace_thing(
        self, owner: str, event_type: str, subject: str, *, participant: str | None = None
    ) -> Iterator[Trace]:
        """Iterate over the ways of every event of a thing, in the log's order."""
        asked: Query = {"owner": owner, "type": event_type, "subject": subject, "participant": participant}
        return self._listed(calls.Listing(calls.TRACE, "events", calls.params(asked)))

    # Subscriptions

    def create_subscription(
        self, name: str, *, types: Sequence[str] | None = None, alliances: Sequence[str] | None = None,
        filter: Filter | None = None, start: str = "earliest",  # noqa: A002  # the gateway's name
    ) -> Subscription:  # fmt: skip
        """Subscribe. start: earliest, latest, or a time (RFC 3339)."""
        return self._run(calls.create(self._gateway, calls.wishes(name, types, alliances, filter, start)))

    def dry_run(
        self, *, types: Sequence[str] | None = None, alliances: Sequence[str] | None = None,
        filter: Filter | None = None, start: str = "earliest", limit: int = 10,  # noqa: A002
    ) -> DryRun:  # fmt: skip
        """Return what such a subscription would have brought, with the first `limit` events (100 at most)."""
        body = calls.wishes("dry run", types, alliances, filter, start)
        return self._run(calls.dry_run(self._gateway, body, limit))

    def subscriptions(self) -> Iterator[Subscription]:
        """Iterate over your participant's subscriptions."""
        return self._listed(calls.Listing(calls.SUBSCRIPTIONS, "subscriptions", {}))

    def subscription(self, subscription_id: str) -> Subscription:
        """Return a subscription, with its lag."""
        return self._run(calls.subscription(self._gateway, subscription_id))

    def change_subscription(self, subscription_id: str, changes: Mapping[str, Any]) -> Subscription:
        """Change `name`, `types`, `alliances` or `filter`: what is left out stays, None takes it away."""
        return self._run(calls.change(self._gateway, subscription_id, changes))

    def delete_subscription(self, subscription_id: str) -> None:
        """Delete a subscription and its cursor."""
        self._run(calls.delete(self._gateway, subscription_id))

    def pull(self, subscription_id: str, *, limit: int = 100, wait_s: float = 0.0, after: str | None = None) -> Pulled:
        """Return what follows the committed cursor, or `after`; wait for a first event. Commit it when it is done with.

        Raises `CursorExpired` where the log does not keep what follows.
        """
        return self._run(calls.pull(self._gateway, subscription_id, limit, wait_s, after))

    def commit(self, subscription_id: str, cursor: str) -> Subscription:
        """Say that everything before a cursor is done with. It never goes backwards."""
        return self._run(calls.commit(self._gateway, subscription_id, cursor))

    def rewind(self, subscription_id: str, to: str) -> Subscription:
        """Go back, or on, to `earliest`, `latest` or a time (RFC 3339)."""
        return self._run(calls.rewind(self._gateway, subscription_id, to))

    def events(
        self, subscription_id: str, *, limit: int = 100, wait_s: float = 30.0, follow: bool = True
    ) -> Iterator[ForwardedEvent]:
        """Iterate over what comes, committing after the loop's body is through with all that one pull brought.

        So what the body did not finish comes again: an event may come twice, none is left out. follow: False ends when
        there is nothing more; else it waits for what comes next, `wait_s` seconds with each request.
        """
        committed = ""
        while True:
            pulled = self.pull(subscription_id, limit=limit, wait_s=wait_s if follow else 0.0)
            yield from pulled["events"]
            if pulled["cursor"] != committed:
                committed = pulled["cursor"]
                self._run(calls.commit_unless_rewound(self._gateway, subscription_id, committed))
            if not (follow or pulled["events"] or pulled["lag"]["events"]):
                return

    def stream(self, subscription_id: str, *, last_event_id: str | None = None) -> Iterator[Streamed]:
        """Iterate over what comes, as it comes, without an end; connects again behind the last event by itself.

        It begins behind `last_event_id`, else at the committed cursor, and commits nothing.
        """
        place = Decoder(last_event_id or "")
        while True:
            for piece in self._pieces(calls.stream(subscription_id, place)):
                yield from streamed(place, piece)
            self._do(until_again(place))
            place.reconnect()

    # Alliances

    def alliances(self) -> Iterator[dict[str, Any]]:
        """Iterate over the agreements, each with its `version`."""
        return self._listed(calls.Listing(calls.ALLIANCES, "alliances", {}))

    def alliance(self, alliance_id: str) -> Agreement:
        """Return one agreement, with its ETag."""
        return self._run(calls.alliance(self._gateway, alliance_id))

    def put_alliance(self, body: Mapping[str, Any], *, etag: str | None = None) -> Agreement:
        """Write the version after the one that `etag` names; without it a new agreement."""
        return self._run(calls.put_alliance(self._gateway, body, etag))

    # The log, for auditors

    def replay(self, filters: Query | None = None, *, within: Mapping[str, Any] | None = None) -> Iterator[Record]:
        """Iterate over the log's records. filters: as in `docs/replay.md`. within: what `bounds` gave.

        Raises `GatewayUnavailable` where the answer breaks off.
        """
        lines = Lines()
        for piece in self.replay_bytes(filters, within=within):
            yield from map(Record, lines.feed(piece))
        if not lines.whole:
            broken_off(self._gateway)

    def replay_bytes(self, filters: Query | None = None, *, within: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """Iterate over the same as NDJSON, in pieces as they arrive."""
        return self._whole(calls.replay(filters or {}, within))

    def bounds(self, filters: Query | None = None) -> dict[str, Any]:
        """Fix where a replay begins and ends: `replay(within=...)` gives the same bytes on any day."""
        return self._run(calls.bounds(self._gateway, filters or {}))

    def check_forwarding(self) -> Iterator[bytes]:
        """Iterate over NDJSON that says what was forwarded otherwise than the rules decide now; the sum comes last."""
        return self._whole(calls.recheck())

    def quarantine(self) -> Iterator[dict[str, Any]]:
        """Iterate over what was refused of what your own Kafka producers wrote, each with its problem."""
        return self._listed(calls.Listing(calls.QUARANTINE, "quarantine", {}))

    def connectors(self) -> Iterator[dict[str, Any]]:
        """Iterate over connectors and how they are: your participant's, or all as operator."""
        return self._listed(calls.Listing(calls.CONNECTORS, "connectors", {}))

    def tell_connector(self, name: str, report: Mapping[str, Any], *, participant: str | None = None) -> None:
        """Tell how a connector is. participant: whose it is, where the token represents more than one."""
        self._run(calls.tell_connector(self._gateway, name, report, participant))

    def get(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """Return the JSON object at any other path of the gateway."""
        return self._run(calls.json_of(self._gateway, Request("GET", path, calls.params(query or {}))))

    def instance(self) -> str | None:
        """Return the name of the gateway's instance; None when the gateway does not tell it.

        Raises `GatewayUnavailable` soon when nobody answers.
        """
        return self._run(calls.instance(self._gateway))

    # The driver

    def _listed(self, listing: calls.Listing) -> Iterator[Any]:
        after: str | None = None
        while True:
            items, after = self._run(listing.page(self._gateway, after))
            yield from items
            if after is None:
                return

    def _whole(self, request: Request) -> Iterator[bytes]:
        answer = self._run(ask(self._gateway, request))
        try:
            with whole(self._gateway):
                yield from answer.stream.iter_bytes()
        finally:
            answer.stream.close()

    def _pieces(self, request: Request) -> Iterator[bytes]:
        """Yield the pieces of a stream until it ends, however it does."""
        answer = self._run(ask(self._gateway, request))
        try:
            yield from answer.stream.iter_bytes()
        except httpx.HTTPError:
            return
        finally:
            answer.stream.close()

    def _run(self, program: Program[T]) -> T:
        came: Any = None
        while True:
            try:
                effect = program.send(came)
            except StopIteration as done:
                result: T = done.value
                return result
            came = self._do(effect)

    def _do(self, effect: Request | Pause | Now | Renew) -> Any:
        match effect:
            case Request():
                return self._exchange(effect)
            case Pause():
                return self._sleep(seconds(effect))
            case Now():
                return time.monotonic()
            case Renew():
                return self._renewed()

    def _renewed(self) -> bool:
        if self._source is not None:
            self._token = self._source()
        return self._source is not None

    def _exchange(self, request: Request) -> Answer | Lost:
        if self._token is None:
            self._renewed()
        try:
            built = self._http.build_request(**arguments(request, self._token or ""))
            response = self._http.send(built, stream=request.streamed)
            if not request.streamed:
                return answer_of(response)
            if response.is_success:
                return answer_of(response, stream=True)
            response.read()
            return answer_of(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return lost(self.url, error)
