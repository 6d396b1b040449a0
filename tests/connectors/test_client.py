"""The Python client against servers that answer badly, and against a real gateway."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from municipality_connectors import client as client_module
from municipality_connectors.client import (
    BadAddress,
    GatewayClient,
    GatewayUnavailable,
    NotAllowed,
    PublishRefused,
    RequestRefused,
    TokenRefused,
    chunks,
)
from tests.connectors.conftest import Publisher
from tests.support import an_event

Answer = tuple[int, dict[str, str], Any]
PROBLEM = {"type": "/problems/log-unavailable", "detail": "The log does not answer.", "retryable": True}


def accepted(body: bytes) -> Answer:
    results = [{"index": index, "id": str(index), "status": "accepted"} for index, _ in enumerate(body.splitlines())]
    return 200, {}, {"results": results}


class Handler(BaseHTTPRequestHandler):
    """Answers from a script; when it has run out, as a gateway would."""

    script: ClassVar[list[Answer | Callable[[bytes], Answer]]]
    bodies: ClassVar[list[bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.bodies.append(body)
        scripted = self.script.pop(0) if self.script else accepted
        status, headers, answer = scripted(body) if callable(scripted) else scripted
        if status == 0:
            self.connection.close()
            return
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST  # noqa: N815  # http.server's own name

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def a_server(*answers: Answer | Callable[[bytes], Answer]) -> Iterator[tuple[GatewayClient, list[bytes], list[float]]]:
    """Run a server that answers by a script; gives a client for it, the bodies it got, and the client's waits."""

    class Scripted(Handler):
        script: ClassVar[list[Answer | Callable[[bytes], Answer]]] = list(answers)
        bodies: ClassVar[list[bytes]] = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    waits: list[float] = []
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with GatewayClient(url, "t", give_up_after_s=5.0, sleep=waits.append) as client:
            yield client, Scripted.bodies, waits
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_with_the_same_bytes(status: int) -> None:
    """A gateway that restarts, a log that is away, a rate limit."""
    with a_server((status, {}, PROBLEM), (status, {}, b"<html>")) as (client, bodies, waits):
        assert [result.status for result in client.publish([{"id": "0"}])] == ["accepted"]
        assert (len(bodies), len(set(bodies)), len(waits)) == (3, 1, 2)


def test_a_connection_that_breaks_off_is_tried_again() -> None:
    """The outcome is unknown, and sending again is safe."""
    with a_server((0, {}, b""), (0, {}, b"")) as (client, bodies, _):
        assert len(client.send([b"{}"])) == 1
        assert len(bodies) == 3


def test_retry_after_is_obeyed_up_to_a_limit() -> None:
    """The gateway knows best when it is back; a wait beyond our patience gives up at once."""
    with a_server((503, {"Retry-After": "2"}, PROBLEM)) as (client, _, waits):
        client.send([b"{}"])
        assert waits == [2.0]
    with a_server((503, {"Retry-After": "3600"}, PROBLEM)) as (client, _, waits):
        with pytest.raises(GatewayUnavailable, match=r"The log does not answer\. Is it running"):
            client.send([b"{}"])
        assert waits == []


def test_only_the_events_that_may_pass_are_sent_again() -> None:
    """The log went away in the middle of a batch: the rest is sent again, alone, and each result finds its place."""

    def half(_: bytes) -> Answer:
        results = [
            {"index": 0, "id": "0", "status": "accepted"},
            {"index": 1, "id": "1", "status": "refused", "problem": PROBLEM},
        ]
        return 207, {}, {"results": results}

    with a_server(half) as (client, bodies, _):
        assert [(result.index, result.status) for result in client.publish([b'{"id":"0"}', b'{"id":"1"}'])] == [
            (0, "accepted"),
            (1, "accepted"),
        ]
        assert bodies[1] == b'{"id":"1"}'


def test_a_batch_that_is_too_large_is_halved() -> None:
    """Until one event alone is too large: that one is refused, the others are taken."""

    def too_large(body: bytes) -> Answer:
        return (413, {}, {"status": 413, "type": "/problems/body-too-large"}) if b"x" * 50 in body else accepted(body)

    with a_server(*[too_large] * 20) as (client, _, _):
        results = client.send([b"1", b"x" * 60, b"3", b"4", b"5"])
        assert [result.status for result in results] == ["accepted", "refused", "accepted", "accepted", "accepted"]
        assert results[1].problem_name == "body-too-large"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((401, {}, {"detail": "The token has expired."}), TokenRefused),
        ((403, {}, {"detail": "This needs the role publisher."}), NotAllowed),
        ((404, {}, b"<html>Not here</html>"), RequestRefused),
        ((200, {}, b"<html>Log ind</html>"), GatewayUnavailable),
        ((200, {}, {"results": []}), GatewayUnavailable),
        ((200, {}, {"results": [1]}), GatewayUnavailable),
        ((200, {}, [1, 2]), GatewayUnavailable),
    ],
)
def test_what_trying_again_cannot_help_is_an_error_of_its_own(answer: Answer, error: type[Exception]) -> None:
    """Each says what to do; nothing is tried again."""
    with a_server(answer) as (client, bodies, _):
        with pytest.raises(error):
            client.send([b"{}"])
        assert len(bodies) == 1


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://x", "http://", "http:///v1"])
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    """Before anything is sent anywhere."""
    with pytest.raises(BadAddress, match="http://127"):
        GatewayClient(url, "t")


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=60), st.integers(1, 20), st.integers(1, 200))
def test_chunks_keep_order_and_limits(events: list[bytes], events_max: int, bytes_max: int) -> None:
    """Nothing is lost or moved; a chunk has at least one event, and more only within the limits."""
    with pytest.MonkeyPatch.context() as lowered:
        lowered.setattr(client_module, "CHUNK_EVENTS", events_max)
        lowered.setattr(client_module, "CHUNK_BYTES", bytes_max)
        cut = list(chunks(events))
    assert [event for _, chunk in cut for event in chunk] == events
    assert [start for start, _ in cut] == [sum(len(chunk) for _, chunk in cut[:place]) for place in range(len(cut))]
    for _, chunk in cut:
        assert len(chunk) == 1 or (len(chunk) <= events_max and sum(map(len, chunk)) <= bytes_max)


def test_publish_raises_when_anything_was_refused(struer: Publisher) -> None:
    """And tells of each event, so that the caller can go on with the refused ones."""
    good, bad = an_event(id="god"), an_event("0657")
    good["source"] = f"urn:kommunebro:0671:{struer.system}"
    with GatewayClient(struer.served.url, struer.token) as client:
        with pytest.raises(PublishRefused, match="1 of 2 events were refused") as raised:
            client.publish([good, bad])
        assert [result.status for result in raised.value.results] == ["accepted", "refused"]
        assert raised.value.results[1].problem_name == "another-source"
        assert client.publish([good])[0].status == "duplicate"
        assert client.validate([good, an_event(id="ny")])[1].offset is None


def test_the_instance_is_told(struer: Publisher) -> None:
    """A name that stays; a server that has none is no reason to stop."""
    with GatewayClient(struer.served.url, struer.token) as client:
        assert client.instance() == client.instance() != None  # noqa: E711  # three things at once
    with a_server((200, {}, {"status": "alive"})) as (client, _, _):
        assert client.instance() is None
