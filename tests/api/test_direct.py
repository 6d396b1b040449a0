"""The shortest way of one event: over real connections, and no different from the ordinary way."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from broker_adapters.log import LogUnavailable, NewRecord
from exchange_gateway.api import app as app_module
from exchange_gateway.api.app import App
from exchange_gateway.api.direct import HEAD_BYTES_MAX, DirectProtocol
from exchange_gateway.core.access import Role
from exchange_gateway.main import Gateway
from exchange_gateway.serving import Server, listen, server_config
from tests.support import a_clock, an_event, settings, token

Answer = tuple[int, dict[str, str], Any]


class Client:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("ascii")
        status = int(head.split(" ", 2)[1])
        headers = dict(re.findall(r"(?m)^([a-zA-Z-]+): (.*)\r$", head))
        if "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        else:
            body = b""
            while (size := int(await self.reader.readline(), 16)) > 0:
                body += await self.reader.readexactly(size)
                await self.reader.readline()
            await self.reader.readline()
        return status, headers, orjson.loads(body) if body else None

    async def send(self, *pieces: bytes) -> Answer:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.02)
        return await asyncio.wait_for(self.answer(), 10)


class Running:
    """A gateway with its server."""

    def __init__(self, gateway: Gateway, app: App, server: Server, port: int) -> None:
        self.gateway, self.app, self.server, self.port = gateway, app, server, port
        self.bearer = token(gateway, "0671", Role.PUBLISHER)["Authorization"]
        self.direct: list[bool] = []
        self._clients: list[Client] = []
        submit = app.submit

        def noting(scope: Any, body: bytes, reply: Any) -> bool:
            self.direct.append(submit(scope, body, reply))
            return self.direct[-1]

        app.submit = noting  # type: ignore[method-assign]  # it only looks on

    async def client(self) -> Client:
        self._clients.append(Client(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self._clients[-1]

    async def close(self) -> None:
        for client in self._clients:
            client.writer.close()
            with contextlib.suppress(ConnectionError):
                await client.writer.wait_closed()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not true():  # noqa: ASYNC110  # what is waited for has no event of its own
                await asyncio.sleep(0.01)

    def request(self, event: Any, **headers: str) -> bytes:
        body = event if isinstance(event, bytes) else orjson.dumps(event)
        given = {
            "Host": "gateway",
            "Authorization": self.bearer,
            "Content-Type": "application/cloudevents+json",
            "Content-Length": str(len(body)),
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        return f"POST /v1/events HTTP/1.1\r\n{lines}\r\n".encode() + body

    async def stored(self) -> list[str]:
        async with self.gateway.log.reader({"pub.0671.job-order": 0}) as reader:
            return [json.loads(record.value)["id"] for record in await reader.poll(records_max=1000)]


@asynccontextmanager
async def running(folder: Path, **changes: Any) -> AsyncIterator[Running]:
    chosen = settings(folder, port=0, forwarder=False, **changes)
    listening = listen("127.0.0.1", 0)
    async with Gateway(chosen, a_clock()) as gateway:
        app = App(gateway)
        server = Server(server_config(app, DirectProtocol, chosen))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        it = Running(gateway, app, server, listening.getsockname()[1])
        await it.until(lambda: server.started)
        # The first event makes the topic, and the token known: what follows can be of the usual kind.
        assert (await (await it.client()).send(it.request(an_event(id="first"))))[0] == 201
        it.direct.clear()
        yield it
        await it.close()
        server.stop()
        await serving


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as started:
        yield started


async def test_it_answers_as_the_ordinary_way(it: Running) -> None:
    """Status, place and headers are the same, and the event is stored when it is answered."""
    client = await it.client()
    event, other = an_event(), an_event()
    whole = it.request(other)
    status, headers, body = await client.send(it.request(event))
    ordinary_status, ordinary_headers, ordinary = await client.send(whole[:-10], whole[-10:])
    assert it.direct == [True]
    assert (status, ordinary_status) == (201, 201)
    assert body == ordinary | {"id": event["id"], "offset": 1}
    assert set(ordinary_headers) - {"transfer-encoding"} == set(headers) - {"content-length"}
    assert headers["x-request-id"] != ordinary_headers["x-request-id"]
    assert await it.stored() == ["first", event["id"], other["id"]]


async def test_what_is_not_usual_goes_the_ordinary_way(it: Running) -> None:
    """A duplicate, a conflict, what is wrong, another's source, no token, another media type: each its own answer."""
    client = await it.client()
    event = an_event()
    await client.send(it.request(event))
    wrong = an_event(data__positions=0)
    seen = [
        await client.send(it.request(event)),
        await client.send(it.request({**event, "time": "2026-11-22T11:00:00Z"})),
        await client.send(it.request(wrong)),
        await client.send(it.request(an_event("0657"))),
        await client.send(it.request(b"{")),
        await client.send(it.request(an_event(), Authorization="Bearer x")),
        await client.send(it.request(an_event(), Content_Type="text/plain")),
        await client.send(it.request(an_event(), Content_Encoding="gzip")),
    ]
    assert [status for status, _, _ in seen] == [200, 409, 422, 403, 400, 401, 415, 415]
    assert it.direct == [True, *[False] * 8]
    assert seen[0][2]["duplicate"] is True
    assert all(headers["content-type"] == "application/problem+json" for _, headers, _ in seen[1:])


async def test_one_that_is_sent_twice_at_once_is_taken_once(it: Running) -> None:
    """The second waits for the first and is its duplicate, on two connections or behind one another on one."""
    event, again = an_event(), an_event()
    one, other = await it.client(), await it.client()
    one.writer.write(it.request(event))
    other.writer.write(it.request(event))
    answers = [await one.answer(), await other.answer()]
    one.writer.write(it.request(again) * 2)
    answers += [await one.answer(), await one.answer()]
    assert sorted(status for status, _, _ in answers) == [200, 200, 201, 201]
    assert await it.stored() == ["first", event["id"], again["id"]]


async def test_requests_behind_one_another_are_answered_in_order(it: Running) -> None:
    """Pipelined on one connection, in one piece, each gets its own answer."""
    client = await it.client()
    events = [an_event() for _ in range(5)]
    client.writer.write(b"".join(map(it.request, events)) + b"GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n")
    assert [(await client.answer())[2]["id"] for _ in events] == [event["id"] for event in events]
    assert (await client.answer())[0] == 200


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n"], ids=["alone", "behind"])
async def test_a_body_that_never_comes_has_its_limit(tmp_path: Path, before: bytes) -> None:
    """Its connection would else count as busy for ever, and leave its place to nobody; behind another request too."""
    async with running(tmp_path, limits={"body_timeout_s": 1.0}) as impatient:
        client = await impatient.client()
        head = impatient.request(an_event()).partition(b"\r\n\r\n")[0]
        client.writer.write(before + head + b"\r\n\r\n")
        async with asyncio.timeout(10):
            if before:
                assert (await client.answer())[0] == 200
            status, _, problem = await client.answer()
            assert (status, problem["type"].rpartition("/")[2]) == (408, "timeout")
            assert await client.reader.read() == b""


async def test_a_long_body_does_not_count_against_the_next_head(it: Running) -> None:
    """A head that arrives in two pieces is read, however long the body before it was."""
    client = await it.client()
    lines = b"\n".join(orjson.dumps(an_event()) for _ in range(200))
    assert len(lines) > HEAD_BYTES_MAX
    assert (await client.send(it.request(lines, Content_Type="application/x-ndjson")))[0] == 200
    request = it.request(an_event())
    assert (await client.send(request[:40], request[40:]))[0] == 201


async def test_an_offer_to_go_on_in_http2_is_passed_over(it: Running) -> None:
    """Java's client makes it with its first request: the body is read, whole or in pieces, and the answer is ours."""
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}
    told = an_event(data__description="Upgrade: h2c\r\n\r\nUpgrade: h2c\r\n")
    for event in (an_event(), told):
        request = it.request(event, **offer)
        head, _, body = request.partition(b"\r\n\r\n")
        client = await it.client()
        assert (await client.send(request))[0] == 201
        assert (await client.send(it.request(event)))[2]["duplicate"] is True
        pieces = (head + b"\r\n\r\n", body[:50], body[50:])
        assert (await (await it.client()).send(*pieces))[2]["duplicate"] is True


@pytest.mark.parametrize("kind", ["close", "chunked", "expect"])
async def test_other_ways_to_send_work_too(it: Running, kind: str) -> None:
    """A connection that is to be closed is; a body in chunks and one that waits to be asked for are taken."""
    client, event = await it.client(), an_event()
    whole = it.request(event)
    if kind == "close":
        assert (await client.send(it.request(event, Connection="close")))[1]["connection"] == "close"
        assert await client.reader.read() == b""
    elif kind == "expect":
        head, body = it.request(event, Expect="100-continue").split(b"\r\n\r\n", 1)
        client.writer.write(head + b"\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.send(body))[0] == 201
    else:
        head, body = whole.split(b"\r\n\r\n", 1)
        head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
        assert (await client.send(head + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)))[0] == 201
    assert await it.stored() == ["first", event["id"]]


async def test_a_client_that_goes_away_harms_nobody(it: Running) -> None:
    """Its event is taken all the same; the next connection is served."""
    gone, event = await it.client(), an_event()
    gone.writer.write(it.request(event))
    await gone.writer.drain()
    gone.writer.close()
    assert (await (await it.client()).send(it.request(an_event())))[0] == 201
    for _ in range(100):
        if event["id"] in await it.stored():
            return
        await asyncio.sleep(0.02)
    pytest.fail("The event was lost.")


async def test_a_log_that_goes_away_is_a_problem_that_says_to_send_again(
    it: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After; sent again it is found, or taken, and never twice."""
    submit, event = it.gateway.log.submit, an_event()

    def written_but_unknown(topic: str, records: list[NewRecord]) -> "asyncio.Future[list[int]]":
        async def fail() -> list[int]:
            await submit(topic, records)
            raise LogUnavailable("gone", outcome_unknown=True)

        return asyncio.ensure_future(fail())

    monkeypatch.setattr(it.gateway.log, "submit", written_but_unknown)
    client = await it.client()
    status, headers, problem = await client.send(it.request(event))
    assert (status, headers["retry-after"], problem["type"]) == (503, "2", "/problems/log-unavailable")
    assert problem["retryable"] is True
    monkeypatch.undo()
    status, _, body = await client.send(it.request(event))
    assert (status, body["duplicate"]) == (200, True)
    assert it.direct == [True, False]
    assert await it.stored() == ["first", event["id"]]


async def test_a_doubt_stays_until_the_log_has_decided(it: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others wrote is looked at all the time; an append that is still under way is not seen by that."""
    log, event, decided = it.gateway.log, an_event(), asyncio.Event()
    submit, late = log.submit, []

    async def written_later(topic: str, records: list[NewRecord]) -> None:
        await decided.wait()
        await submit(topic, records)

    def unknown(topic: str, records: list[NewRecord]) -> "asyncio.Future[list[int]]":
        late.append(asyncio.create_task(written_later(topic, records)))
        failed: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        failed.set_exception(LogUnavailable("no answer in time", outcome_unknown=True))
        return failed

    async def settle(topics: Iterable[str]) -> None:
        await asyncio.gather(*late)

    monkeypatch.setattr(log, "submit", unknown)
    monkeypatch.setattr(log, "settle", settle)
    client = await it.client()
    assert (await client.send(it.request(event)))[0] == 503
    monkeypatch.setattr(log, "submit", submit)
    await it.gateway.ingest.catch_up()
    decided.set()
    status, _, body = await client.send(it.request(event))
    assert (status, body["duplicate"]) == (200, True)
    assert await it.stored() == ["first", event["id"]]


async def test_a_server_that_stops_answers_first_and_closes(it: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken is answered, and the client is told not to go on with this connection."""
    submit, go_on = it.gateway.log.submit, asyncio.Event()

    def slowly(topic: str, records: list[NewRecord]) -> "asyncio.Future[list[int]]":
        async def wait() -> list[int]:
            await go_on.wait()
            return await submit(topic, records)

        return asyncio.ensure_future(wait())

    monkeypatch.setattr(it.gateway.log, "submit", slowly)
    client = await it.client()
    answer = asyncio.create_task(client.send(it.request(an_event())))
    await it.until(lambda: bool(it.direct))
    it.server.stop()
    await asyncio.sleep(0.3)
    go_on.set()
    status, headers, _ = await answer
    assert (status, headers["connection"]) == (201, "close")
    assert await client.reader.read() == b""


async def test_a_rate_counts_these_requests_too(tmp_path: Path) -> None:
    """Where a rate is set, nothing goes past the place where it is counted."""
    async with running(tmp_path, limits={"rate_per_s": 0.001, "rate_burst": 3}) as limited:
        client = await limited.client()
        answers = [await client.send(limited.request(an_event())) for _ in range(3)]
    assert [status for status, _, _ in answers] == [201, 201, 429]


async def test_they_are_counted_and_measured(it: Running) -> None:
    """The metrics do not tell which way a request went."""
    client = await it.client()
    await client.send(it.request(an_event()))
    metrics = it.gateway.metrics.registry
    labels = {"method": "POST", "route": app_module.PATH, "status": "201"}
    assert metrics.get_sample_value("kommunebro_requests_total", labels) == 2
    assert metrics.get_sample_value("kommunebro_publish_seconds_count") == 2
    accepted = {"type": "job-order", "outcome": "accepted", "door": "http"}
    assert metrics.get_sample_value("kommunebro_events_total", accepted) == 2
