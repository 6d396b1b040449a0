"""A generator in a process of its own: in order, with its errors, and gone when nobody reads on."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from municipality_connectors.sources import excel
from municipality_connectors.sources.apart import EndedEarly, apart
from municipality_connectors.sources.excel import ExcelFile
from municipality_connectors.tables import SourceError
from tests.connectors.sheets import orders, write_orders
from tests.connectors.test_excel import rewritten


def counted(upto: int, *, pid: bool = False) -> Iterator[int]:
    """Count, or say each time which process it is."""
    for number in range(upto):
        yield os.getpid() if pid else number


def breaking(after: int) -> Iterator[int]:
    """Give some, then fail."""
    yield from range(after)
    raise KeyError(after)


def killed(after: int) -> Iterator[int]:
    """Give some, then be killed, as by a system without memory."""
    yield from range(after)
    os.kill(os.getpid(), signal.SIGKILL)


def test_all_of_it_comes_in_order_from_another_process() -> None:
    """Then that process has ended."""
    assert list(apart(counted, 1_000)) == list(range(1_000))
    [other] = set(apart(counted, 3, pid=True))
    assert other != os.getpid()
    assert not multiprocessing.active_children()


def test_what_is_raised_there_is_raised_here() -> None:
    """After what was given before it; a process that is gone without a word is told, too."""
    for generate, error in ((breaking, KeyError), (killed, EndedEarly)):
        given = apart(generate, 2)
        assert [next(given), next(given)] == [0, 1]
        with pytest.raises(error):
            next(given)
        assert not multiprocessing.active_children()


def test_who_reads_no_further_leaves_no_process() -> None:
    """Though it has much to say still."""
    given = apart(counted, 10_000_000)
    assert next(given) == 0
    given.close()
    deadline = time.monotonic() + 5
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()


def test_a_large_worksheet_is_read_the_same_way_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell, and the same words for a damaged one."""
    path = write_orders(tmp_path / "ordrer.xlsx", orders(500))
    here = list(ExcelFile(path).worksheet("Jobordrer").rows)
    monkeypatch.setattr(excel, "APART_BYTES", 0)
    assert list(ExcelFile(path).worksheet("Jobordrer").rows) == here
    rewritten(path, lambda name, content: content[: len(content) // 2] if "sheet1" in name else content)
    with pytest.raises(SourceError, match="beskadiget"):
        list(ExcelFile(path).worksheet("Jobordrer").rows)
    assert not multiprocessing.active_children()
