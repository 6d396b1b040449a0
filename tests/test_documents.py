"""The documents, held to the code: what somebody can set, meet or call is described, and every link leads somewhere."""

import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml
from fastapi.routing import APIRoute
from pydantic import BaseModel

from bench.cli import app as benchmarks
from exchange_gateway.cli import app as command_line
from exchange_gateway.core.access import Role
from exchange_gateway.core.routing import Reason
from exchange_gateway.problems import PROBLEMS
from exchange_gateway.settings import Settings, load_settings
from exchange_gateway.telemetry import LogEvent, Metrics
from schemas.identifiers import EventName
from tests.support import a_gateway, token

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@cache
def text(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def settings_rows(model: type[BaseModel], variable: str = "KOMMUNEBRO_", path: str = "") -> Iterator[str]:
    """The rows that docs/operations.md must have, one for each setting."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_rows(field.annotation, f"{variable}{name.upper()}__", f"{path}{name}.")
        else:
            default = "" if field.default in (None, "") else f"`{field.default}`"
            yield f"| `{path}{name}` | `{variable}{name.upper()}` | {default} | {field.description} |"


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every verb with its command; a group of them is one with `commands`."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), command
    for name, one in (inner or {}).items():
        # A hidden command is what its group does by itself.
        yield from verbs(one, path if one.hidden else (*path, name))


VERBS = dict(verbs(typer.main.get_command(command_line)))
VERBS |= {f"bench {verb}": command for verb, command in verbs(typer.main.get_command(benchmarks))}


@pytest.mark.parametrize("row", list(settings_rows(Settings)), ids=lambda row: row.split("`")[1])
def test_every_setting_is_documented_as_it_is(row: str) -> None:
    """Name, variable, default and meaning of each setting stand in docs/operations.md."""
    assert row in text("operations.md").splitlines()


@pytest.mark.parametrize("problem", list(PROBLEMS.values()), ids=lambda problem: problem.name)
def test_every_problem_type_is_documented_as_it_is(problem) -> None:
    """Status, title, explanation and whether trying again helps stand in docs/errors.md."""
    again = "yes" if problem.retryable else "no"
    row = f"| `{problem.name}` | {problem.status} | {again} | {problem.title}. {problem.explanation} |"
    assert row in text("errors.md").splitlines()


def test_every_metric_is_documented() -> None:
    """Each metric's name and what it counts stand in docs/operations.md."""
    missing = [
        metric.name
        for metric in Metrics().registry.collect()
        if not re.search(rf"`{metric.name}(_total)?`", text("operations.md"))
    ]
    assert missing == []


def test_every_log_line_is_documented() -> None:
    """Each name that a log line can have stands in docs/operations.md, and no other."""
    documented = re.findall(r"^\| `([a-z_]+)` \|", text("operations.md").partition("## Log lines")[2], re.MULTILINE)
    assert sorted(documented) == sorted(get_args(LogEvent))


@pytest.mark.parametrize("name", list(EventName))
def test_every_event_type_is_documented(name: EventName) -> None:
    """Each event type, and the property that holds its id, stand in docs/events.md."""
    assert f"| `{name.type}` | `{name.id_property}` |" in text("events.md")


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_is_documented_with_its_options(verb: str) -> None:
    """Each verb and each of its options stand in its part of docs/commands.md."""
    heading = f"kommunebro {verb}"
    parts = re.split(r"^## ", text("commands.md"), flags=re.MULTILINE)
    part = next((part for part in parts if heading in part.partition("\n")[0].replace("`", "").split(", ")), None)
    assert part is not None, f"docs/commands.md has no part with {heading}"
    wanted = [option for parameter in VERBS[verb].params for option in parameter.opts if option.startswith("-")]
    assert [option for option in wanted if f"`{option}" not in part] == []


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_shows_an_example(verb: str) -> None:
    """`--help` of each verb ends with an example that begins as one types it."""
    assert f"Example: kommunebro {verb}" in (VERBS[verb].help or "")


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_for_withholding_is_documented(reason: Reason) -> None:
    """Each reason that `audit.forwarding` can hold stands in docs/agreements.md."""
    assert f"| `{reason}` |" in text("agreements.md")


@pytest.mark.parametrize("role", list(Role))
def test_every_role_is_documented(role: Role) -> None:
    """Each role that a token can give stands in docs/access.md."""
    assert f"| `{role}` |" in text("access.md")


def test_every_path_is_documented() -> None:
    """Each path of the API stands in docs/access.md, with the role that it needs."""
    from exchange_gateway.api import alliances, audit, health, job_orders, schemas_api  # noqa: PLC0415
    from exchange_gateway.api.publish import PATH, VALIDATE_PATH  # noqa: PLC0415

    routers = [module.router for module in (alliances, audit, health, job_orders, schemas_api)]
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    paths = {re.sub(r"\{(\w+)(:\w+)?\}", r"{\1}", route.path) for route in routes} | {PATH, VALIDATE_PATH}
    documented = re.sub(r"\{(\w+)\}", "{}", text("access.md"))
    assert [path for path in sorted(paths) if f"{re.sub(r'{.*?}', '{}', path)}`" not in documented] == []


async def test_paths_need_what_is_documented(tmp_path: Path) -> None:
    """Without a token a path is 401 unless docs/access.md says that it needs none; without its role it is 403."""
    rows = re.findall(r"^\| (`(?:GET|POST|PUT) .*?) \| (.*) \|$", text("access.md"), re.MULTILINE)
    calls = [(*call.split(), needs) for paths, needs in rows for call in re.findall(r"`([A-Z]+ \S+)`", paths)]
    assert len(calls) > 10
    async with a_gateway(tmp_path) as (gateway, client):
        nobody = token(gateway, "0400", Role.MANAGER)
        for method, path, needs in calls:
            address = re.sub(r"\{\w+\}", "x", path)
            without = (await client.request(method, address)).status_code
            assert (without == 401) == (needs != "no token"), path
            any_token = needs.startswith(("no token", "any token"))
            body: dict[str, Any] = {"json": {}} if method == "PUT" else {}
            answer = await client.request(method, address, headers=nobody | {"If-None-Match": "*"}, **body)
            assert (answer.status_code == 403) == (not any_token), path


_CODE = re.compile(r"^```(?:sh|console|json)?\n(.*?)^```$|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
_CALL = re.compile(r"(?:^|[ (/])kommunebro (?!import )([a-z][^|)`#&;]*)")
_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")


def calls_in(document: Path) -> Iterator[list[str]]:
    """Every `kommunebro …` in a document's code, as words."""
    for found in _CODE.findall(document.read_text("utf-8")):
        for line in "\n".join(found).splitlines():
            yield from (call.split() for call in _CALL.findall(_QUOTED.sub("text", line)))


def exists(words: list[str]) -> bool:
    verb = next((verb for verb in (" ".join(words[:2]), words[0]) if verb in VERBS), None)
    if verb is None:
        return len(words) == 1
    known = {"--help"} | {option for parameter in VERBS[verb].params for option in parameter.opts}
    return all(word in known for word in words if word.startswith("-"))


@pytest.mark.parametrize("document", [*TOP, *sorted(DOCS.rglob("*.md"))], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_the_documents_exists(document: Path) -> None:
    """Wherever a document writes `kommunebro …`, the verb is there, and so are the options that it uses."""
    assert [words for words in calls_in(document) if not exists(words)] == []


def test_commands_that_do_not_exist_are_noticed() -> None:
    """The check itself: a verb or an option that is not there is seen."""
    assert exists(["publish", "x.xlsx", "--token", "text"])
    assert exists(["alliances", "load", "--data", "data"])
    assert not exists(["alliances", "load", "--keys", "file"])
    assert not exists(["export", "everything"])


def anchors(document: Path) -> set[str]:
    headings = _HEADING.findall(document.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", [*TOP, *sorted(DOCS.rglob("*.md"))], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    """A relative link names a file of this repository, and an anchor a heading in it."""
    dead = []
    for link in _LINK.findall(document.read_text("utf-8")):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_every_document_is_reachable() -> None:
    """Each document is linked from another one, so that somebody finds it."""
    documents = [*TOP, *DOCS.rglob("*.md")]
    linked = {
        (document.parent / link.partition("#")[0]).resolve()
        for document in documents
        for link in _LINK.findall(document.read_text("utf-8"))
        if not link.startswith("http")
    }
    assert [str(path.relative_to(ROOT)) for path in DOCS.rglob("*.md") if path.resolve() not in linked] == []


def test_decisions_have_their_four_parts() -> None:
    """Each decision says its context, what was decided, what follows, and what was rejected."""
    parts = ("**Context.**", "**Decision.**", "**Consequences.**", "**Rejected.**")
    incomplete = [
        path.name
        for path in sorted((DOCS / "decisions").glob("[0-9]*.md"))
        if not all(part in path.read_text("utf-8") for part in parts)
    ]
    assert incomplete == []


def test_the_changelog_knows_this_version() -> None:
    """CHANGELOG.md has a part for the version in pyproject.toml, or for what is not released yet."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"## [{version}]" in changelog
    assert changelog.index("## [Unreleased]") < changelog.index(f"## [{version}]")


def test_the_image_has_the_same_versions() -> None:
    """Everything that the image installs is in requirements.lock, in the same version."""
    pin = re.compile(r"^([a-z0-9][a-z0-9._-]*==\S+)", re.MULTILINE)
    ours = set(pin.findall((ROOT / "requirements.lock").read_text("utf-8")))
    image = set(pin.findall((ROOT / "deploy" / "requirements.lock").read_text("utf-8")))
    assert image
    assert image <= ours


def test_the_lock_names_no_address() -> None:
    """A lock file says what is installed, by its content, and nothing of where from."""
    for name in ("requirements.lock", "deploy/requirements.lock"):
        assert re.findall(r"https?://\S+|--(?:extra-)?index-url.*", (ROOT / name).read_text("utf-8")) == []


def test_every_campaign_can_be_run() -> None:
    """Each `make campaign-…` names a module that is there, and docs/reliability.md names them all together."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    modules = re.findall(r"^\t(?:! )?\$\(FAULTS\)\.([a-z_.]+)", makefile, re.MULTILINE)
    assert len(modules) > 5
    assert [name for name in modules if not (ROOT / "tests/faults" / f"{name.replace('.', '/')}.py").exists()] == []
    assert "make campaign-" in text("reliability.md")


def test_deployments_use_verbs_and_options_that_exist() -> None:
    """What docker-compose.yml, the Dockerfile and the systemd unit start is a verb of ours with options of its own."""
    composed = [yaml.safe_load(path.read_text("utf-8")) for path in sorted(ROOT.glob("docker-compose*.yml"))]
    services = [service for compose in composed for service in compose["services"].values()]
    commands = [service["command"] for service in services if "command" in service]
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    commands.append(json.loads(re.findall(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)[-1]))
    units = "\n".join(path.read_text("utf-8") for path in (ROOT / "deploy").glob("*.service"))
    commands += [line.split()[1:] for line in re.findall(r"^ExecStart=(.*)$", units, re.MULTILINE)]
    assert len(commands) == 8
    for verb, *arguments in commands:
        known = [option for parameter in VERBS[verb].params for option in parameter.opts]
        assert [argument for argument in arguments if argument.startswith("--") and argument not in known] == []


def test_what_deployments_set_exists() -> None:
    """Variables in docker-compose.yml and beside it, and the sample file of settings, name settings that there are."""
    known = {row.split("`")[3] for row in settings_rows(Settings)}
    files = ("docker-compose.yml", "Dockerfile", "deploy/kommunebro.service")
    texts = [(ROOT / name).read_text("utf-8") for name in files]
    assert set(re.findall(r"KOMMUNEBRO_[A-Z_]+", "".join(texts))) <= known
    assert load_settings(ROOT / "deploy" / "kommunebro.toml").limits.rate_per_s == 200


def test_the_image_copies_what_there_is() -> None:
    """Everything that the Dockerfile copies is in the repository, and .dockerignore lets it through."""
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    lines = re.findall(r"^COPY (?!--)(.*)$", dockerfile, re.MULTILINE)
    sources = [word for line in lines for word in line.split()[:-1]]
    allowed = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert [source for source in sources if not (ROOT / source).exists() or f"!{source}" not in allowed] == []
