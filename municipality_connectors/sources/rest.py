"""A REST service as a source: page by page, from where it has changed, with its limits kept to."""

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import orjson

from municipality_connectors.mapping.plan import Plan
from municipality_connectors.sources.change_times import OVERLAP_S, before, is_ahead, later
from municipality_connectors.sources.documents import ITEMS_MAX, document_table, searched
from municipality_connectors.sources.oauth import ClientCredentials
from municipality_connectors.sources.portion import Done, MarkOf, Portion
from municipality_connectors.tables import SourceError, Table, quoted

PAGES_MAX = 10_000
PAGE_BYTES_MAX = 50 * 1024 * 1024
LIST_BYTES_MAX = 200 * 1024 * 1024
"""All pages of a list, as they were sent; their items are held in memory."""

EMPTY_PAGES_MAX = 10
"""So many empty pages in a row are passed over where each names a next one; then the rest is told to be unread."""

TIMEOUT_S = 30.0
TRIES = 4
WAIT_FIRST_S = 1.0
RETRY_AFTER_MAX_S = 300.0
"""As long is waited when a service asks for it; one that wants more is asked again at the next run."""

_RETRIED = {429, 500, 502, 503, 504}
_NOT_MODIFIED, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 304, 401, 403, 404, 429


@dataclass(frozen=True)
class Resource:
    """One list of a service.

    items: where they are in an answer (JMESPath). next_page: where an answer has the next page's address or cursor;
    without it a `Link` header with rel="next" is followed. page, page_size: the names of parameters that count pages
    from `first_page`; size: how many items a page has. cursor: the parameter that the cursor goes into. since: the
    parameter that asks for what changed, since_from: where an item has the time of its change.
    """

    plan: Plan
    path: str
    items: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    next_page: str | None = None
    cursor: str | None = None
    page: str | None = None
    first_page: int = 1
    page_size: str | None = None
    size: int = 100
    since: str | None = None
    since_from: str | None = None


@dataclass(frozen=True)
class Service:
    """A service. pace_s: the least time between two requests. credentials: where a token is asked for."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    basic: tuple[str, str] | None = None
    credentials: ClientCredentials | None = None
    pace_s: float = 0.0


class RestResources:
    """The lists of one service. clock_s: seconds since 1970, ahead of which no change is taken for the newest."""

    def __init__(
        self,
        service: Service,
        resources: Sequence[Resource],
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._service, self._resources, self._sleep, self._clock_s = service, resources, sleep, clock_s

    def portions(self, mark_of: MarkOf) -> Iterator[Portion | SourceError]:
        """Iterate over the lists. Raises `SourceError` where no token is to be had."""
        basic = None if self._service.basic is None else httpx.BasicAuth(*self._service.basic)
        with httpx.Client(
            base_url=self._service.url, headers=dict(self._service.headers), auth=basic, timeout=TIMEOUT_S
        ) as client:
            asking = Asking(self._service, client, self._sleep)
            for resource in self._resources:
                yield RestPortion(asking, resource, mark_of(resource.plan.mark_key(resource.path)), self._clock_s)


class Asking:
    """Asks one service, again where that helps, and never faster than it allows."""

    def __init__(self, service: Service, client: httpx.Client, sleep: Callable[[float], None]) -> None:
        self._service, self._client, self._sleep = service, client, sleep
        self._last = 0.0
        self.url = service.url.rstrip("/") + "/"

    def get(self, url: str, parameters: Mapping[str, str], headers: Mapping[str, str], place: str) -> httpx.Response:
        """Return the answer, 200 or 304. Raises `SourceError`."""
        wait_s = WAIT_FIRST_S
        renewed = False
        for remaining in reversed(range(TRIES)):
            answer = self._once(url, parameters, headers, place, last=remaining == 0)
            if answer is None:
                self._sleep(wait_s)
            elif answer.status_code == _UNAUTHORIZED and self._service.credentials is not None and not renewed:
                self._service.credentials.forget()
                renewed = True
                continue
            elif answer.status_code in _RETRIED and remaining:
                asked_s = _retry_after(answer)
                if asked_s > RETRY_AFTER_MAX_S:
                    break
                self._sleep(max(asked_s, wait_s))
            else:
                return _checked(answer, place)
            wait_s *= 2
        message = "Tjenesten har for travlt lige nu og beder os vente. Der prøves igen ved næste kørsel."
        raise SourceError("too-busy", message, place=place)

    def _once(
        self, url: str, parameters: Mapping[str, str], headers: Mapping[str, str], place: str, *, last: bool
    ) -> httpx.Response | None:
        self._sleep(max(0.0, self._last + self._service.pace_s - time.monotonic()))
        self._last = time.monotonic()
        headers = {"Accept": "application/json", **headers}
        if self._service.credentials is not None:
            headers["Authorization"] = f"Bearer {self._service.credentials.token(place)}"
        # The client would put parameters in the place of those that the address has already.
        asked = httpx.URL(url).copy_merge_params(dict(parameters)) if parameters else url
        try:
            with self._client.stream("GET", asked, headers=headers) as answer:
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > PAGE_BYTES_MAX:
                        raise SourceError("too-large", "Et svar fra tjenesten fylder over 50 MB.", place=place)
                return httpx.Response(
                    answer.status_code, headers=_without_encoding(answer.headers), content=bytes(body)
                )
        except httpx.HTTPError as error:
            if not last:
                return None
            message = f"Tjenesten svarer ikke ({type(error).__name__}). Kører den, og er adressen i »url« rigtig?"
            raise SourceError("service-away", message, place=place) from None


def _without_encoding(headers: httpx.Headers) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer whose content was unpacked already; as bytes, which they are on the way."""
    dropped = (b"content-encoding", b"content-length", b"transfer-encoding")
    return [(name, value) for name, value in headers.raw if name.lower() not in dropped]


def _retry_after(answer: httpx.Response) -> float:
    written = answer.headers.get("retry-after", "")
    return float(written) if written.isascii() and written.isdigit() else 0.0


def _checked(answer: httpx.Response, place: str) -> httpx.Response:
    status = answer.status_code
    if status in (200, _NOT_MODIFIED):
        return answer
    messages = {
        _UNAUTHORIZED: "Tjenesten godtager ikke vores token eller adgangskode (401). Bed leverandøren om et nyt.",
        _FORBIDDEN: "Tjenesten giver os ikke lov (403). Bed leverandøren om adgang.",
        _NOT_FOUND: "Adressen findes ikke hos tjenesten (404). Er »url« og »path« rigtige?",
        _TOO_MANY: "Tjenesten beder os vente (429). Der prøves igen ved næste kørsel.",
    }
    message = messages.get(status)
    if message is None and answer.is_redirect:
        message = f"Tjenesten sender os videre til en anden adresse ({status}). Skriv den rigtige i »url«."
    elif message is None:
        message = f"Tjenesten svarede med fejl {status}. Der prøves igen ved næste kørsel."
    raise SourceError("service-refused", message, place=place)


_Page = tuple[str, dict[str, str]]
"""An address and its parameters."""


class RestPortion(Portion):
    """One list. Its mark is the newest change that was seen, or the `ETag` of a list that has one page."""

    def __init__(self, asking: Asking, resource: Resource, mark: bytes | None, clock_s: Callable[[], float]) -> None:
        self.place, self.marked_by = resource.path, resource.plan.mark_key(resource.path)
        self.whole = resource.since is None
        self._asking, self._resource, self._clock_s = asking, resource, clock_s
        self._mark: dict[str, Any] = orjson.loads(mark) if mark else {}
        if is_ahead(self._mark.get("since"), clock_s()):
            del self._mark["since"]
        self._first: httpx.Response | None = None

    def is_as_marked(self, mark: bytes) -> bool:
        """Whether the service says that nothing changed. Raises `SourceError`."""
        etag = orjson.loads(mark).get("etag")
        if etag is None:
            return False
        parameters = self._parameters(self._resource.first_page)
        answer = self._ask(self._resource.path, parameters, {"If-None-Match": etag})
        if answer.status_code == _NOT_MODIFIED:
            # It may be read all the same, and this answer has no content.
            return True
        self._first = answer
        return False

    def tables(self) -> Iterator[tuple[Plan, Table] | SourceError]:
        """Ask for one page after another. Raises `SourceError`."""
        resource = self._resource
        items: list[Any] = []
        size = empty = 0
        asked = resource.path, self._parameters(resource.first_page)
        seen, etag = {_told_apart(*asked)}, None
        for count in range(1, PAGES_MAX + 1):
            answer = self._first or self._ask(*asked, {})
            self._first = None
            etag = answer.headers.get("etag") if count == 1 else None
            document = self._document(answer)
            page = self._items(document, count)
            if page is None:
                yield document_table(resource.plan, document, resource.items, may_be_empty=False)
                return
            items += page
            size, empty = size + len(answer.content), 0 if page else empty + 1
            self._check_size(len(items), size)
            following = self._next(answer, document, page, resource.first_page + count)
            is_cut_off = following is not None and empty > EMPTY_PAGES_MAX
            if following is None or is_cut_off or (empty and _told_apart(*following) in seen):
                break
            asked = self._unseen(following, seen)
        else:
            message = f"Listen har over {PAGES_MAX} sider. Er »paging« rigtig? Ellers bed om flere poster på hver side."
            raise SourceError("too-many-rows", message, place=self.place)
        self._mark = {"etag": etag} if resource.since is None else {"since": self._newest(items)}
        yield document_table(resource.plan, items, None, may_be_empty=True)
        if is_cut_off:
            # Rows may follow: what is not here is not gone, and is asked for again.
            self._mark = {}
            message = (
                f"De sidste {EMPTY_PAGES_MAX + 1} sider var tomme, men listen henviste til endnu en. Det, der står før "
                "dem, er læst; resten ikke. Er »paging« rigtig? Der prøves igen ved næste kørsel."
            )
            yield SourceError("endless-list", message, place=self.place)

    def _check_size(self, items: int, size: int) -> None:
        """Raise `SourceError` for a list that is too long to be held."""
        if items > ITEMS_MAX:
            raise SourceError("too-many-rows", f"Listen har over {ITEMS_MAX} poster. Del den op.", place=self.place)
        if size > LIST_BYTES_MAX:
            megabytes = LIST_BYTES_MAX // 1024 // 1024
            message = f"Listen fylder over {megabytes} MB. Del den op, fx efter år, eller brug »since«."
            raise SourceError("too-large", message, place=self.place)

    def _items(self, document: Any, count: int) -> list[Any] | None:
        """Return a page's items; None where the first page has none of what is asked for.

        Raises `SourceError` for a later one: a service that fails with status 200 has not told that the list ends.
        """
        items = self._resource.items
        found = document if items is None else self._searched(items, document)
        if found is not None:
            return found if isinstance(found, list) else [found]
        if items is not None and count == 1:
            return None
        there = ", ".join(map(str, document)) if isinstance(document, dict) else type(document).__name__
        what = "er tom (null)" if items is None else f"har ingenting på »{items}«. Den har: {there[:200]}"
        message = f"Side {count} af listen {what}. Derfor bruges intet af listen; der prøves igen ved næste kørsel."
        raise SourceError("missing-items", message, place=self.place)

    def _searched(self, expression: str, document: Any) -> Any:
        try:
            return searched(expression, document)
        except SourceError as error:
            error.place = self.place
            raise

    def _unseen(self, following: _Page, seen: set[Hashable]) -> _Page:
        """Return the next page. Raises `SourceError` for one that was read: the list would never end."""
        if _told_apart(*following) in seen:
            message = "Tjenesten henviser til en side, som vi har læst, så listen ender aldrig. Er »paging« rigtig?"
            raise SourceError("endless-list", message, place=self.place)
        seen.add(_told_apart(*following))
        return following

    def _ask(self, url: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> httpx.Response:
        return self._asking.get(url, parameters, headers, self.place)

    def _parameters(self, page: int) -> dict[str, str]:
        resource = self._resource
        parameters = dict(resource.parameters)
        if resource.page is not None:
            parameters[resource.page] = str(page)
        if resource.page_size is not None:
            parameters[resource.page_size] = str(resource.size)
        if resource.since is not None and self._mark.get("since"):
            since = self._mark["since"]
            # A number may be a cursor that takes no other value than those that were told.
            parameters[resource.since] = before(since, OVERLAP_S) if isinstance(since, str) else str(since)
        return parameters

    def _document(self, answer: httpx.Response) -> Any:
        try:
            return orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            begin = answer.content[:200].lstrip().lower()
            if begin.startswith((b"<!doctype", b"<html")) or "html" in answer.headers.get("content-type", ""):
                message = (
                    "Tjenesten svarede med en webside (HTML) og ikke med data. Det er ofte en loginside: er »url«, "
                    "»path« og tokenet rigtige?"
                )
                raise SourceError("html-answer", message, place=self.place) from None
            shown = quoted(answer.text[:60])
            raise SourceError("unreadable", f"Tjenestens svar er ikke JSON: {shown}.", place=self.place) from None

    def _next(self, answer: httpx.Response, document: Any, page: Sequence[Any], number: int) -> _Page | None:
        """Return the next page's address and parameters; None after the last.

        A page may be empty, and name a next one all the same: a service that filters what it has paged sends such.
        """
        resource = self._resource
        if resource.next_page is not None:
            following = self._searched(resource.next_page, document)
            if following in (None, "", False):
                return None
            if resource.cursor is not None:
                return resource.path, {**self._parameters(resource.first_page), resource.cursor: str(following)}
            return self._same_host(str(following)), {}
        if resource.page is not None:
            full = bool(page) and (len(page) >= resource.size or resource.page_size is None)
            return (resource.path, self._parameters(number)) if full else None
        link = answer.links.get("next", {}).get("url")
        return None if link is None else (self._same_host(link), {})

    def _same_host(self, following: str) -> str:
        """Return an address that a page names. Our token goes to no other host than the one it is for."""
        try:
            absolute = urljoin(self._asking.url, following)
            there = urlsplit(absolute)[:2]
            httpx.URL(absolute)
        except (ValueError, httpx.InvalidURL):
            message = f"Tjenesten henviser til en næste side, {quoted(following)}, som ikke er en adresse."
            raise SourceError("no-address", message, place=self.place) from None
        if there != urlsplit(self._asking.url)[:2]:
            message = "Tjenesten henviser til en næste side hos en anden server; den følges ikke."
            raise SourceError("other-host", message, place=self.place)
        return absolute

    def _newest(self, items: Sequence[Any]) -> Any:
        newest = self._mark.get("since")
        if self._resource.since_from is None:
            return newest
        for item in items:
            # An item that has no such time is read all the same.
            with suppress(SourceError):
                value = searched(self._resource.since_from, item)
                if isinstance(value, str | int | float):
                    newest = later(newest, value, self._clock_s())
        return newest

    def mark(self, done: Done) -> bytes:  # noqa: ARG002  # it tells how far it was read
        """Return what the next reading begins from."""
        return orjson.dumps(self._mark)


def _told_apart(url: str, parameters: Mapping[str, str]) -> Hashable:
    return url, tuple(sorted(parameters.items()))
