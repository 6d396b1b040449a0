"""The architecture, held as tests: which way imports point, what is pure, and how large a room may get."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "schemas", "client_credentials", "kommunebro", "broker_adapters", "exchange_gateway", "municipality_connectors",
    "bench",
)  # fmt: skip
FUNCTION_LINES_MAX = 50
MODULE_LINES_MAX = 400

VALUES_OF_THE_LOG = {"broker_adapters.log", "broker_adapters.codec", "broker_adapters.shared_answer"}
"""The port, its codec and how many share one question to it; the adapters behind it are not for everyone."""

TOGETHER = {
    "exchange_gateway.main", "exchange_gateway.cli", "exchange_gateway.demo", "exchange_gateway.replay_offline",
    "exchange_gateway.doctor", "exchange_gateway.kafka_client", "exchange_gateway.forwarder_alone",
}  # fmt: skip
"""Where parts are put together; everything may be imported there."""

MAY_IMPORT: dict[str, set[str]] = {
    "schemas": {"schemas"},
    "client_credentials": {"client_credentials"},
    "broker_adapters": {"schemas", "client_credentials", "broker_adapters"},
    "kommunebro": {"kommunebro"},
    "kommunebro.core": {"kommunebro.core", "kommunebro.errors", "kommunebro.answers"},
    "municipality_connectors": {"schemas", "client_credentials", "kommunebro", "municipality_connectors"},
    "exchange_gateway.core": {"schemas", "exchange_gateway.core", *VALUES_OF_THE_LOG},
    "exchange_gateway.workers": {
        "schemas", *VALUES_OF_THE_LOG, "exchange_gateway.core", "exchange_gateway.workers",
        "exchange_gateway.telemetry", "exchange_gateway.spans", "exchange_gateway.clock",
    },
}  # fmt: skip
"""Package to what it may import of ours; the longest name that fits counts."""

IMPURE_MODULES = {
    "aiokafka", "anyio", "asyncio", "concurrent", "fastapi", "http", "httpx", "multiprocessing", "os", "random",
    "secrets", "signal", "socket", "sqlite3", "ssl", "starlette", "subprocess", "tempfile", "threading", "time",
    "urllib.request", "uvicorn", "uvloop",
}  # fmt: skip
IMPURE_CALLS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "uuid.uuid1", "uuid.uuid4", "uuid1", "uuid4",
    "open", "print", "input",
}  # fmt: skip
STARTS_CHILDREN = "broker_adapters/local_kafka"
"""A tool for development that hands its own environment on to the broker's process, and reads no setting from it."""
READ_THE_ENVIRONMENT = {"exchange_gateway/settings.py", "exchange_gateway/cli/options.py"}
ENVIRONMENT = {"os.environ", "os.getenv", "os.environb", "environ", "getenv"}


def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


@cache
def modules() -> dict[str, Path]:
    return {module_name(path): path for path in sources(*PACKAGES)}


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and dotted(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without the blocks that only a type checker reads: they make nothing depend on anything."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not for_types_only(child):
            yield from executed(child)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, wherever in the file it does so, with the line."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in executed(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield (inner if inner in modules() else base), node.lineno


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def rule_for(name: str) -> set[str] | None:
    fitting = [package for package in MAY_IMPORT if within(name, {package})]
    return MAY_IMPORT[max(fitting, key=len)] if fitting else None


def test_imports_point_one_way() -> None:
    """The dataset knows nobody, the log knows the dataset, decisions know neither workers nor HTTP."""
    wrong = [
        f"{where(path, line)} imports {imported}"
        for name, path in modules().items()
        if (allowed := rule_for(name)) is not None
        for imported, line in imports(path)
        if within(imported, set(PACKAGES)) and not within(imported, allowed)
    ]
    assert wrong == []


def test_only_the_top_puts_parts_together() -> None:
    """No part of the gateway reaches for the adapters, the connectors or the composition root."""
    closed = TOGETHER | {"municipality_connectors", "kommunebro", "bench"}
    wrong = [
        f"{where(path, line)} imports {imported}"
        for name, path in modules().items()
        if within(name, {"exchange_gateway"}) and not within(name, TOGETHER)
        for imported, line in imports(path)
        if within(imported, closed) or (within(imported, {"broker_adapters"}) and imported not in VALUES_OF_THE_LOG)
    ]
    assert wrong == []


def test_no_import_cycle() -> None:
    """No module reaches itself through its imports."""
    graph = {
        name: {imported for imported, _ in imports(path) if imported in modules() and imported != name}
        for name, path in modules().items()
    }
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> list[str] | None:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return None
        cycle = next((found for after in sorted(graph[name]) if (found := visit(after, (*way, name)))), None)
        done.add(name)
        return cycle

    assert [cycle for name in graph if (cycle := visit(name, ()))] == []


@pytest.mark.parametrize("package", ["exchange_gateway/core", "kommunebro/core", "schemas", "client_credentials"])
def test_decisions_and_dataset_are_pure(package: str) -> None:
    """No clock, chance, network, database, file writing or concurrency where decisions are made."""
    wrong = []
    for path in sources(package):
        wrong += [
            f"{where(path, line)} imports {name}"
            for name, line in imports(path)
            if name in IMPURE_MODULES or name.partition(".")[0] in IMPURE_MODULES
        ]
        wrong += [
            f"{where(path, node.lineno)} calls {dotted(node.func)}"
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Call) and dotted(node.func) in IMPURE_CALLS
        ]
        wrong += [
            f"{where(path, node.lineno)} is async"
            for node in ast.walk(tree(path))
            if isinstance(node, ast.AsyncFunctionDef)
        ]
    assert wrong == []


KNOW_AIOKAFKA = ("broker_adapters/kafka", "municipality_connectors/sources/kafka_topic.py")
"""Our own log, and a municipality's Kafka as a connector's source, which is no log of ours and promises less."""


def test_only_two_doors_know_aiokafka() -> None:
    """A client library's types stay behind them; the bare comparators of the benchmarks are no part of us."""
    wrong = [
        where(path, line)
        for path in sources("schemas", "kommunebro", "broker_adapters", "exchange_gateway", "municipality_connectors")
        if not path.relative_to(ROOT).as_posix().startswith(KNOW_AIOKAFKA)
        for name, line in imports(path)
        if name.partition(".")[0] == "aiokafka"
    ]
    assert wrong == []


def test_only_settings_and_options_read_the_environment() -> None:
    """A setting is read once, in `settings.py`, a command's option in `options.py`; both are handed down."""
    wrong = [
        where(path, node.lineno)
        for path in sources(*PACKAGES)
        if path.relative_to(ROOT).as_posix() not in READ_THE_ENVIRONMENT
        and not path.relative_to(ROOT).as_posix().startswith(STARTS_CHILDREN)
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and dotted(node) in ENVIRONMENT)
        or (isinstance(node, ast.keyword) and node.arg == "envvar")
    ]
    assert wrong == []


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function without its docstring, as `end - start + 1`."""
    documented = ast.get_docstring(function, clean=False) is not None
    docstring = function.body[0] if documented else None
    taken = (docstring.end_lineno or 0) - docstring.lineno + 1 if docstring is not None else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - taken


def test_no_function_is_long() -> None:
    """A function does one thing, in at most 50 lines."""
    long = [
        f"{where(path, node.lineno)} {node.name} has {lines_of(node)} lines"
        for path in sources(*PACKAGES)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_no_module_is_long() -> None:
    """A file that reaches 400 lines becomes a folder."""
    sizes = {path: len(path.read_text("utf-8").splitlines()) for path in sources(*PACKAGES)}
    assert [where(path, size) for path, size in sizes.items() if size > MODULE_LINES_MAX] == []


def test_everything_public_says_what_it_is() -> None:
    """Each module, and each public class and function at a module's top, has a docstring."""
    bare = []
    for path in sources(*PACKAGES):
        if ast.get_docstring(tree(path)) is None:
            bare.append(where(path, 1))
        bare += [
            f"{where(path, node.lineno)} {node.name}"
            for node in tree(path).body
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and not node.name.startswith("_")
            and ast.get_docstring(node) is None
        ]
    assert bare == []


def test_no_test_is_skipped_or_fed_with_mocks() -> None:
    """Tests run, all of them, on the real thing: nothing is skipped, and nothing of ours is imitated."""
    forbidden = re.compile(r"pytest\.(?:mark\.)?(?:skip|skipif|importorskip)\b|unittest\.mock|\bmocker\b")
    wrong = [
        where(path, number)
        for path in sources("tests")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if forbidden.search(line)
    ]
    assert wrong == []


def test_each_test_says_what_it_holds() -> None:
    """Every test has a sentence that states the behaviour."""
    bare = [
        f"{where(path, node.lineno)} {node.name}"
        for path in sources("tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and ast.get_docstring(node) is None
    ]
    assert bare == []


def test_the_measure_of_a_function_is_right() -> None:
    """The ruler itself: docstrings don't count, everything else does."""
    module = ast.parse('def f():\n    """One\n    two."""\n    a = 1\n    return a\n')
    function = module.body[0]
    assert isinstance(function, ast.FunctionDef)
    assert lines_of(function) == 3
