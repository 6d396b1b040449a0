"""How the command ends: the right status, and one message that says what to do."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange_gateway.cli.exchange import _split_to
from exchange_gateway.cli.outcome import Failed
from exchange_gateway.cli.running import parse_ttl
from tests.processes import Served, free_port, run, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One gateway for the tests that only ask it."""
    with serving(tmp_path_factory.mktemp("data") / "kommunebro") as running:
        yield running


def one_message(text: str) -> str:
    """Return a message, which is no traceback."""
    assert "Traceback" not in text, text
    assert text.strip(), "nothing was said"
    return text


def test_a_data_folder_in_use_is_3(served: Served) -> None:
    """The second process names the first, and the way out."""
    second = run("serve", "--data", served.data, "--port", str(free_port()))
    assert second.returncode == 3
    assert str(served.process.pid) in one_message(second.stderr)
    assert "--data" in second.stderr


def test_a_port_in_use_is_3(tmp_path: Path) -> None:
    """The message says which, and how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = run("serve", "--data", tmp_path, "--port", str(port))
    assert answer.returncode == 3
    assert str(port) in one_message(answer.stderr)
    assert "--port" in answer.stderr


def test_a_folder_that_cannot_be_made_is_3(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    answer = run("serve", "--data", tmp_path / "file" / "data")
    assert answer.returncode == 3
    assert "data folder" in one_message(answer.stderr)


def test_a_kafka_that_is_away_is_3(tmp_path: Path) -> None:
    """Within half a minute, and naming the address."""
    answer = run("serve", "--data", tmp_path, "--kafka", f"127.0.0.1:{free_port()}", "--port", str(free_port()))
    assert answer.returncode == 3
    assert "127.0.0.1" in one_message(answer.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--port", "70000"),
        ("serve", "--nonsense"),
        ("nonsense",),
        ("token", "--participant", "0671", "--role", "king"),
        ("token", "--participant", "0671", "--role", "reader", "--ttl", "soon"),
        ("forward",),
        ("serve", "--config", "/nowhere/settings.toml"),
        ("replay", "--to", "http://a", "--to", "http://b"),
    ],
)
def test_wrong_usage_is_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Whatever is wrong with the command line, its status is 2 and it says what."""
    answer = run(*arguments, cwd=tmp_path)
    assert answer.returncode == 2
    one_message(answer.stderr)


@pytest.mark.parametrize("content", ["port = 'x'", "[limits]\nevent_bytes_max = 0", "not toml", "unknown = 1"])
def test_a_wrong_setting_is_2_and_named(tmp_path: Path, content: str) -> None:
    """The file's settings are checked like all others."""
    config = tmp_path / "settings.toml"
    config.write_text(content)
    answer = run("serve", "--data", tmp_path, "--config", config)
    assert answer.returncode == 2
    one_message(answer.stderr)


def test_a_gateway_that_does_not_answer_is_3(tmp_path: Path) -> None:
    """`replay`, `alliances` and `publish` say where they looked."""
    url = f"http://127.0.0.1:{free_port()}"
    sheet = tmp_path / "events.ndjson"
    sheet.write_text("")
    for arguments in (
        ("replay", "--to", url, "--token", "x"),
        ("alliances", "list", "--to", url, "--token", "x"),
    ):
        answer = run(*arguments)
        assert answer.returncode == 3, arguments
        assert url in one_message(answer.stderr)


def test_a_wrong_token_is_told(served: Served) -> None:
    """A token that does not count is no crash and no silence."""
    answer = run("alliances", "list", "--to", served.url, "--token", "nonsense")
    assert answer.returncode == 3
    assert "token" in one_message(answer.stderr).lower()


def test_a_token_needs_the_instances_keys(tmp_path: Path) -> None:
    """Before the first start there are none; the message says how they come about."""
    answer = run("token", "--participant", "0671", "--role", "reader", "--data", tmp_path)
    assert answer.returncode == 3
    assert "kommunebro serve" in one_message(answer.stderr)


def test_a_token_and_nothing_else_is_printed(served: Served) -> None:
    """So that a script can use what is printed as it is."""
    answer = run("token", "--participant", "0671", "--role", "publisher", "--role", "reader", "--data", served.data)
    assert answer.returncode == 0
    assert answer.stderr == ""
    assert len(answer.stdout.splitlines()) == 1
    assert answer.stdout.count(".") == 2


def test_alliances_load_is_idempotent_and_refuses_what_is_wrong(served: Served, tmp_path: Path) -> None:
    """Twice gives nothing new; a file with a mistake names it and is 1."""
    to = ("--to", served.url, "--data", served.data)
    first = json.loads(run("alliances", "load", "--json", *to).stdout)
    assert {row["result"] for row in first} == {"created"}
    assert len(first) == 8
    second = json.loads(run("alliances", "load", "--json", *to).stdout)
    assert {row["result"] for row in second} == {"unchanged"}
    shown = json.loads(run("alliances", "show", "vestalliancen", *to).stdout)
    shown["members"][0]["reads"] = ["gossip"]
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(shown))
    answer = run("alliances", "load", wrong, *to)
    assert answer.returncode == 1
    assert "gossip" in one_message(answer.stderr) or "reads" in answer.stderr
    assert run("alliances", "show", "nowhere", *to).returncode == 1


def test_schemas_can_be_listed_shown_and_compared(tmp_path: Path) -> None:
    """An incompatible change is named, with status 1; none with 0."""
    assert "job-order-shared" in run("schemas", "list").stdout
    schema = json.loads(run("schemas", "show", "job-order", "1.0").stdout)
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(schema))
    new.write_text(json.dumps(schema))
    assert run("schemas", "check", old, new).returncode == 0
    schema["required"].remove("status")
    schema["properties"]["title"]["maxLength"] = 10
    new.write_text(json.dumps(schema))
    answer = run("schemas", "check", old, new)
    assert answer.returncode == 1
    assert "title" in answer.stdout
    assert run("schemas", "show", "nothing").returncode == 1
    assert run("schemas", "check", old, tmp_path / "missing.json").returncode == 1


def test_every_verb_has_help_with_an_example() -> None:
    """`--help` of each verb shows how it is called."""
    for verb in (
        ("demo",), ("serve",), ("forward",), ("token",), ("publish",), ("validate",), ("replay",),
        ("alliances", "load"),
        ("alliances", "list"), ("alliances", "show"), ("schemas", "list"), ("schemas", "show"),
        ("schemas", "check"),
        ("kafka", "up"), ("kafka", "down"), ("kafka", "status"),
    ):  # fmt: skip
        answer = run(*verb, "--help")
        assert answer.returncode == 0
        assert f"Example: kommunebro {' '.join(verb)}" in " ".join(answer.stdout.split()), verb


def test_to_names_the_gateway_or_the_end() -> None:
    """An address is told from a time or an offset."""
    assert _split_to([]) == (None, None)
    assert _split_to(["http://gateway", "2026-11-22T12:00:00Z"]) == ("http://gateway", "2026-11-22T12:00:00Z")
    assert _split_to(["17"]) == (None, "17")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604800)])
def test_a_time_to_live_is_read(text: str, seconds: int) -> None:
    """Seconds, minutes, hours, days."""
    assert parse_ttl(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "0h", "-1h", "1w", "1.5h", "9999d", "\u0661h"])
def test_what_is_no_time_to_live_is_refused(text: str) -> None:
    """Anything else ends with usage."""
    with pytest.raises(Failed):
        parse_ttl(text)
