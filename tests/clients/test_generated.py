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


@pytest.fixture(scope="module")
def typescript(served: Served) -> Path:
    """A folder with the program, the types that openapi-typescript made for it, and npm's packages."""
    folder, modules = served.data.parent / "typescript", tools.node_modules()
    folder.mkdir()
    (folder / "node_modules").symlink_to(modules)
    for name in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(tools.TYPESCRIPT / name, folder)
    document = served.data.parent / "openapi.json"
    tools.run("node", modules / "openapi-typescript/bin/cli.js", document, "-o", "kommunebro.ts", cwd=folder)
    return folder


def compiled(folder: Path) -> None:
    tools.run("node", folder / "node_modules/typescript/bin/tsc", "--project", ".", cwd=folder)


def test_typescript(served: Served, typescript: Path) -> None:
    """The TypeScript compiler finds nothing wrong with the program, and Node runs it."""
    compiled(typescript)
    printed = tools.run("node", "built/client.js", cwd=typescript, variables=environment(served))
    assert outcome(printed, "typescript") == EXPECTED


def test_typescript_finds_what_does_not_fit(typescript: Path) -> None:
    """The control: a status that is none is told before anything runs."""
    program = (typescript / "client.ts").read_text("utf-8")
    (typescript / "client.ts").write_text(program.replace('status: "open",\n', 'status: "ledig",\n', 1), "utf-8")
    with pytest.raises(AssertionError, match="ledig"):
        compiled(typescript)


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
