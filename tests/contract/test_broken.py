"""The suite itself: it passes on the embedded log, and fails on every adapter that is broken on purpose."""

import asyncio
import importlib
import inspect
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from broker_adapters.embedded import EmbeddedLog
from tests.contract.broken import PROMISE_BROKEN_BY, adapter_with
from tests.contract.stores import EmbeddedStore, Store

HANGS_S = 3.0
"""When a test that hangs counts as failed. On the sound adapter none takes a tenth of this."""

ContractTest = Callable[[Store], Awaitable[None]]


def contract_tests(promise: str) -> Iterator[ContractTest]:
    """The tests in a promise's module that need nothing but a store and their parameter, if any."""
    module = importlib.import_module(f"tests.contract.test_{promise}")
    for name, function in inspect.getmembers(module, inspect.iscoroutinefunction):
        marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
        if not name.startswith("test_") or hasattr(function, "hypothesis"):
            continue
        if not marks:
            yield function
        for mark in marks:
            for value in mark.args[1]:
                yield partial(function, **{mark.args[0]: value})


async def passes(test: ContractTest, folder: Path, adapter: Callable[[Path], EmbeddedLog]) -> bool:
    """Tell whether a test passes on an adapter. Whatever it raises, it is what a person would see as a failure."""
    store = EmbeddedStore(Path(tempfile.mkdtemp(dir=folder)), adapter)
    try:
        async with asyncio.timeout(HANGS_S):
            await test(store)
    except (Exception, asyncio.CancelledError, pytest.fail.Exception):  # noqa: BLE001
        return False
    else:
        return True
    finally:
        await store.close()


@pytest.fixture(autouse=True)
async def _nothing_left_over() -> AsyncIterator[None]:
    """Cancel what broken adapters leave running."""
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@pytest.mark.parametrize("fault", PROMISE_BROKEN_BY, ids=lambda fault: fault.__name__)
async def test_the_suite_fails_on_a_broken_adapter(fault: type, tmp_path: Path) -> None:
    """At least one test of the promise that a fault breaks fails."""
    for test in contract_tests(PROMISE_BROKEN_BY[fault]):
        if not await passes(test, tmp_path, adapter_with(fault)):
            return
    pytest.fail(f"No test of {PROMISE_BROKEN_BY[fault]} noticed this fault: {fault.__doc__}")


@pytest.mark.parametrize("promise", sorted(set(PROMISE_BROKEN_BY.values())))
async def test_the_same_tests_pass_on_the_sound_adapter(promise: str, tmp_path: Path) -> None:
    """What fails on broken adapters fails for their fault, not for the way that it is run here."""
    tests = list(contract_tests(promise))
    assert tests
    assert [test for test in tests if not await passes(test, tmp_path, EmbeddedLog)] == []
