"""Clients in TypeScript and Java, generated from the gateway's own document, checked, and run against it.

The programs beside this file are what a municipality's supplier would write; only they are kept, no generated code.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients import tools
from tests.processes import Served, bearer, run, serving

EXPECTED = {
    "published": 201,
    "again": 200,
    "seen": "3 klejnsmede til staldinventar",
    "left": 0,
    "refused": "mend /data/positions",
    "conflict": "give it a new id",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with the alliances, and its document beside its data."""
    data = tmp_path_factory.mktemp("clients") / "data"
    with serving(data) as gateway:
        assert run("alliances", "load", "--to", gateway.url, "--data", data).returncode == 0
        (data.parent / "openapi.json").write_text(httpx.get(f"{gateway.url}/openapi.json", timeout=30).text, "utf-8")
        yield gateway


def environment(served: Served) -> dict[str, str]:
    """What a client program is told: where the gateway is, and a token for each of the two."""
    tokens = {"STRUER_TOKEN": ("0671", "publisher"), "HERNING_TOKEN": ("0657", "reader")}
    found = {name: bearer(served.data, *who)["Authorization"].partition(" ")[2] for name, who in tokens.items()}
    return {"KOMMUNEBRO_TO": served.url, **found}


def outcome(printed: str, name: str) -> dict[str, Any]:
    told = json.loads(printed)
    alliance, order, positions = told.pop("pulled")
    assert (alliance, order, positions) == ("vestalliancen", f"{name}-1001", 3)
    return told  # type: ignore[no-any-return]


def test_typescript(served: Served, tmp_path: Path) -> None:
    """Types by openapi-typescript; a program that the TypeScript compiler finds nothing wrong with; Node runs it."""
    modules = tools.node_modules()
    (tmp_path / "node_modules").symlink_to(modules)
    for name in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(tools.TYPESCRIPT / name, tmp_path)
    document = served.data.parent / "openapi.json"
    tools.run("node", modules / "openapi-typescript/bin/cli.js", document, "-o", "kommunebro.ts", cwd=tmp_path)
    tools.run("node", modules / "typescript/bin/tsc", "--project", ".", cwd=tmp_path)
    printed = tools.run("node", "built/client.js", cwd=tmp_path, variables=environment(served))
    assert outcome(printed, "typescript") == EXPECTED


def test_typescript_finds_what_does_not_fit(served: Served, tmp_path: Path) -> None:
    """The control: a status that is none, and a property that is none, are told before anything runs."""
    (tmp_path / "node_modules").symlink_to(tools.node_modules())
    for name in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(tools.TYPESCRIPT / name, tmp_path)
    program = (tmp_path / "client.ts").read_text("utf-8")
    (tmp_path / "client.ts").write_text(program.replace('status: "open",\n', 'status: "ledig",\n', 1), "utf-8")
    document = served.data.parent / "openapi.json"
    generator = tools.node_modules() / "openapi-typescript/bin/cli.js"
    tools.run("node", generator, document, "-o", "kommunebro.ts", cwd=tmp_path)
    compiler = tools.node_modules() / "typescript/bin/tsc"
    with pytest.raises(AssertionError, match="ledig"):
        tools.run("node", compiler, "--project", ".", cwd=tmp_path)


def test_java(served: Served, tmp_path: Path) -> None:
    """A library by openapi-generator; compiled with Eclipse's compiler, since our Java has none; Java runs it."""
    document = served.data.parent / "openapi.json"
    generated = tmp_path / "generated"
    tools.run("openapi-generator-cli", "generate", "-i", document, "-o", generated, *tools.JAVA_OPTIONS)
    jars = tools.java_class_path()
    libraries = ":".join(sorted(map(str, Path(jars).parent.glob("*.jar"))))
    compiler = ("java", "-cp", jars, "org.eclipse.jdt.internal.compiler.batch.Main", "-21", "-nowarn", "-proc:none")
    sources = (generated / "src/main/java", tools.JAVA_CLIENT / "Client.java")
    tools.run(*compiler, "-cp", libraries, "-d", tmp_path / "classes", *sources)
    classes = f"{tmp_path / 'classes'}:{libraries}"
    printed = tools.run("java", "-cp", classes, "Client", variables=environment(served))
    assert outcome(printed, "java") == EXPECTED
