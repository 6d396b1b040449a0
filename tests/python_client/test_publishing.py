"""The Python client against servers that answer badly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kommunebro import (
    BadAddress,
    Client,
    ClientError,
    GatewayUnavailable,
    NotAllowed,
    NotFound,
    Problem,
    TokenRefused,
)
from kommunebro.core import publishing
from kommunebro.core.publishing import chunks
from tests.python_client.scripted import PROBLEM, Answer, a_server, accepted


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
        with pytest.raises(GatewayUnavailable, match=r"The log does not answer\. Try again later"):
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
        ((404, {}, b"<html>Not here</html>"), NotFound),
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


@pytest.mark.parametrize("url", [
    "", "localhost:8080", "ftp://x", "http://", "http:///v1",
    "http://[", "http://h:x", "http://h:99999", "http://h\n", "http://a b",
])  # fmt: skip
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    """Before anything is sent anywhere."""
    with pytest.raises(BadAddress, match="http://127"):
        Client(url, "t")


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=60), st.integers(1, 20), st.integers(1, 200))
def test_chunks_keep_order_and_limits(events: list[bytes], events_max: int, bytes_max: int) -> None:
    """Nothing is lost or moved; a chunk has at least one event, and more only within the limits.

    An event is on one line: what ends a line in JSON is a blank between its values.
    """
    with pytest.MonkeyPatch.context() as lowered:
        lowered.setattr(publishing, "CHUNK_EVENTS", events_max)
        lowered.setattr(publishing, "CHUNK_BYTES", bytes_max)
        cut = list(chunks(events))
    lines = [event.replace(b"\r", b" ").replace(b"\n", b" ") for event in events]
    assert [event for _, chunk in cut for event in chunk] == lines
    assert [start for start, _ in cut] == [sum(len(chunk) for _, chunk in cut[:place]) for place in range(len(cut))]
    for _, chunk in cut:
        assert len(chunk) == 1 or (len(chunk) <= events_max and sum(map(len, chunk)) <= bytes_max)


def test_a_gateway_that_takes_no_event_just_now_says_why() -> None:
    """Whether it refuses the whole request or each event: the reason is there, and it is not said to be away."""

    def each(_: bytes) -> Answer:
        return 207, {}, {"results": [{"index": 0, "id": "0", "status": "refused", "problem": PROBLEM}]}

    for answer in ((503, {"Retry-After": "3600"}, PROBLEM), each):
        with a_server(*[answer] * 200) as (scripted, _, _), Client(scripted.url, "t", patience_s=0) as client:
            with pytest.raises(GatewayUnavailable, match=r"just now\. The log does not answer\.") as raised:
                client.send([b"{}"])
            assert raised.value.problem is not None
            assert raised.value.problem.name == "log-unavailable"


def test_what_is_not_the_same_twice_is_not_sent_twice() -> None:
    """A subscription is asked for once, unless the gateway said that it did not look at the request."""
    with a_server((0, {}, b"")) as (client, bodies, waits):
        with pytest.raises(GatewayUnavailable, match="Whether it did that is not known"):
            client.create_subscription("Herning")
        assert (len(bodies), waits) == (1, [])
    with a_server((503, {}, PROBLEM)) as (client, bodies, _):
        with pytest.raises(Problem) as raised:
            client.rewind("sub-1", "earliest")
        assert (raised.value.name, raised.value.retryable, len(bodies)) == ("log-unavailable", True, 1)
    limited = {"type": "/problems/rate-limited", "detail": "Slower.", "retryable": True}
    made = (201, {}, {"id": "sub-1", "cursor": "c"})
    with a_server((429, {"Retry-After": "1"}, limited), made) as (client, bodies, waits):
        assert client.create_subscription("Herning")["id"] == "sub-1"
        assert (len(bodies), waits) == (2, [1.0])


def test_what_cannot_become_better_is_told_at_once() -> None:
    """A damaged log answers 503, too, but says that trying again does not help."""
    damaged = {"type": "/problems/log-damaged", "title": "The log is damaged", "detail": "Stop.", "retryable": False}
    with a_server((503, {"X-Request-Id": "r-1"}, damaged)) as (client, bodies, _):
        with pytest.raises(Problem, match="Stop") as raised:
            client.publish({"id": "0"})
        assert (raised.value.name, raised.value.request_id, len(bodies)) == ("log-damaged", "r-1", 1)


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one() -> None:
    """A replay says so, whether it ended within a line or between two."""
    for body in (b'{"topic":"pub.x"}\n', b'{"topic":"pub.x"}\n{"topic"'):
        server = a_server((200, {"Content-Length": "1000"}, body))
        with server as (client, _, _), pytest.raises(GatewayUnavailable, match="not whole"):
            list(client.replay())


def test_no_token_is_in_what_is_logged_told_or_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Not in the libraries' debug lines either, nor in an error or a representation."""
    caplog.set_level("DEBUG")
    secret = "eyJ.secret-token.x"
    server = a_server((401, {}, {"detail": "No."}), (503, {}, PROBLEM), (200, {}, b"nonsense"))
    with server as (scripted, _, _), Client(scripted.url, secret, patience_s=0) as client:
        for _ in range(3):
            with pytest.raises(ClientError) as raised:
                client.publish({"id": "0"})
            assert secret not in repr(raised.value) + str(raised.value.__dict__)
        assert secret not in repr(client)
    assert caplog.records
    assert secret not in caplog.text


@pytest.mark.parametrize("odd", ["eyJ.hemmelig-æ", "eyJ.hemmelig\nX-Other: 1"])
def test_what_cannot_be_a_token_is_told_without_it(odd: str) -> None:
    """Half a line of something else was copied with it: nothing is sent, and nothing of it is shown."""
    with a_server() as (scripted, bodies, _), Client(scripted.url, odd) as client:
        with pytest.raises(ClientError, match="characters that no token has") as raised:
            client.publish({"id": "0"})
        assert raised.value.__cause__ is raised.value.__context__ is None
        assert "hemmelig" not in repr(raised.value)
        assert bodies == []


def test_a_stream_of_something_else_is_told() -> None:
    """A proxy's page, say, is a `ClientError` like everything that can go wrong."""
    server = a_server((200, {}, b"data: <html>\n\n"))
    with server as (client, _, _), pytest.raises(GatewayUnavailable, match="not JSON"):
        next(client.stream("sub-1"))
