"""What only the embedded log has: a folder, a clock, a queue, and a file that others can read."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import apsw
import pytest

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.embedded import engine as engine_module
from broker_adapters.embedded.database import DATABASE, PAGE_BYTES, write_ahead_log
from broker_adapters.log import LogClosed, LogDamaged, LogFolderUnusable, LogLocked, NewRecord
from tests.contract.stores import new, read_all, read_values
from tests.faults.embedded.disks import Disk


async def opened(folder: Path, **how: Any) -> EmbeddedLog:
    """Return an open log with a topic."""
    log = EmbeddedLog(folder, **how)
    await log.open()
    await log.create_topics(["t"])
    return log


class HandTurnedClock:
    """A clock that shows what it is told to."""

    now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


async def test_a_clock_that_jumps_back_takes_no_record_back(tmp_path: Path) -> None:
    """When the clock goes back time stands still in the log until the clock is past it again, also over a restart."""
    clock, told, recorded = HandTurnedClock(), [1000, 500, 2000, 1999, 0], []
    for now_ms in told:
        clock.now_ms = now_ms
        log = await opened(tmp_path, clock_ms=clock)
        await log.append("t", new(b"x"))
        recorded = [record.recorded_at_ms for record in await read_all(log, "t")]
        await log.close()
    assert recorded == [1000, 1000, 2000, 2000, 2000]


async def test_a_time_is_found_however_the_clock_jumped(tmp_path: Path) -> None:
    """Looking up a time works on what was recorded, not on what the clock said."""
    clock = HandTurnedClock()
    log = await opened(tmp_path, clock_ms=clock)
    for clock.now_ms in (100, 300, 200, 400):
        await log.append("t", new(b"x"))
    assert [await log.offset_at("t", at) for at in (0, 100, 101, 300, 301, 400, 401)] == [0, 0, 1, 1, 3, 3, 4]
    await log.close()


async def test_a_folder_is_one_process_s_at_a_time(tmp_path: Path) -> None:
    """Opening a folder that is open says who has it; once it is closed it can be opened."""
    log = await opened(tmp_path)
    with pytest.raises(LogLocked, match=r"Process \d+ has the data folder"):
        await EmbeddedLog(tmp_path).open()
    await log.append("t", new(b"undisturbed"))
    await log.close()
    log = await opened(tmp_path)
    assert await read_values(log, "t") == [b"undisturbed"]
    await log.close()


async def test_a_folder_that_cannot_be_made_is_its_own_error(tmp_path: Path) -> None:
    """Where a file stands in the way the error names the folder."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LogFolderUnusable, match="file/log"):
        await EmbeddedLog(tmp_path / "file" / "log").open()


async def test_a_newer_file_is_not_touched(tmp_path: Path) -> None:
    """A file that a later version laid out is refused, and its lock let go of."""
    await (await opened(tmp_path)).close()
    connection = apsw.Connection(str(tmp_path / DATABASE))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for _ in range(2):
        with pytest.raises(LogFolderUnusable, match="layout 99"):
            await EmbeddedLog(tmp_path).open()


async def test_a_file_that_is_no_database_is_its_own_error(tmp_path: Path) -> None:
    """Something else under the log's name is called damaged, and is left as it is."""
    (tmp_path / DATABASE).write_bytes(b"not a database, but longer than its header " * 10)
    with pytest.raises(LogDamaged):
        await EmbeddedLog(tmp_path).open()
    assert (tmp_path / DATABASE).read_bytes().startswith(b"not a database")


async def test_a_missing_record_is_not_skipped(tmp_path: Path) -> None:
    """Where someone has removed a record from the file reading says so."""
    log = await opened(tmp_path)
    await log.append("t", new(b"0", b"1", b"2"))
    await log.close()
    connection = apsw.Connection(str(tmp_path / DATABASE))
    connection.execute("DELETE FROM record WHERE value = ?", (b"2",))
    connection.execute("INSERT INTO record SELECT id + 2, recorded_at, key, value FROM record WHERE value = ?", (b"1",))
    connection.close()
    log = await opened(tmp_path)
    with pytest.raises(LogDamaged, match="missing"):
        await read_all(log, "t")
    await log.close()


async def test_what_is_no_bytes_harms_nobody_else(tmp_path: Path) -> None:
    """A value of the wrong type fails for its caller alone, though it shares a transaction with others."""
    log = await opened(tmp_path)
    text = NewRecord(cast("bytes", "text"))
    answers = await asyncio.gather(
        *(log.append("t", new(b"%d" % number)) for number in range(5)),
        log.append("t", [text]),
        log.append("t", new(b"5")),
        return_exceptions=True,
    )
    assert [isinstance(answer, TypeError) for answer in answers] == [False] * 5 + [True, False]
    assert await read_values(log, "t") == [b"0", b"1", b"2", b"3", b"4", b"5"]
    await log.close()


async def test_headers_are_left_out(tmp_path: Path) -> None:
    """The embedded log keeps no headers: all that they say stands in the value."""
    log = await opened(tmp_path)
    await log.append("t", [NewRecord(b"v", b"k", (("ce_id", b"1"),))])
    assert [(record.key, record.value, record.headers) for record in await read_all(log, "t")] == [(b"k", b"v", ())]
    await log.close()


def read_from_outside(file: Path) -> str:
    """Return what a program of another's sees in the log: Python's own SQLite, in a process of its own."""
    program = (
        "import sqlite3, sys\n"
        "rows = sqlite3.connect(sys.argv[1]).execute('SELECT topic, \"offset\", key, value FROM log ORDER BY 2')\n"
        "print(rows.fetchall())"
    )
    return subprocess.run([sys.executable, "-c", program, file], capture_output=True, text=True, check=True).stdout


async def test_others_can_read_the_file(tmp_path: Path) -> None:
    """Any SQLite that knows strict tables reads the log by its view, without a word of ours."""
    log = await opened(tmp_path)
    await log.append("t", [NewRecord(b'{"a":1}', b"k"), NewRecord(b"2")])
    await log.close()
    assert await asyncio.to_thread(read_from_outside, tmp_path / DATABASE) == (
        "[('t', 0, b'k', b'{\"a\":1}'), ('t', 1, None, b'2')]\n"
    )


async def test_the_write_ahead_log_stays_small(tmp_path: Path) -> None:
    """However much is appended without a pause, and read meanwhile, what is not yet copied back stays bounded."""
    pages, largest = 128, 0
    log = await opened(tmp_path, checkpoint_pages=pages)

    async def append() -> None:
        for _ in range(100):
            await log.append("t", new(*[b"x" * 1300] * 100))

    async def watch() -> None:
        nonlocal largest
        async with log.reader({"t": 0}) as reader:
            while reader.positions()["t"] < 4 * 100 * 100:
                await reader.poll(timeout_s=1)
                largest = max(largest, write_ahead_log(tmp_path / DATABASE).stat().st_size)

    await asyncio.gather(watch(), *(append() for _ in range(4)))
    await log.close()
    assert largest < 40_000 * 1300 / 2
    assert largest < 16 * pages * PAGE_BYTES


async def test_another_program_that_reads_does_not_hold_up_appends(tmp_path: Path) -> None:
    """While a reader from outside keeps a snapshot open appends go on; once it lets go the file shrinks again."""
    log = await opened(tmp_path, checkpoint_pages=16)
    await log.append("t", new(b"first"))
    outside = apsw.Connection(str(tmp_path / DATABASE), flags=apsw.SQLITE_OPEN_READONLY)
    outside.execute("BEGIN")
    assert outside.execute("SELECT count(*) FROM record").get == 1
    began = time.monotonic()
    for _ in range(300):
        await log.append("t", new(b"x" * 4000))
    assert time.monotonic() - began < 300 * 0.02
    assert outside.execute("SELECT count(*) FROM record").get == 1
    grown = write_ahead_log(tmp_path / DATABASE).stat().st_size
    outside.close(True)
    for _ in range(300):
        await log.append("t", new(b"x" * 4000))
    assert write_ahead_log(tmp_path / DATABASE).stat().st_size < 1.5 * grown
    await log.close()


def names_in(folder: Path) -> list[str]:
    """Return what a folder holds."""
    return sorted(path.name for path in folder.iterdir())


async def test_closing_leaves_one_file(tmp_path: Path) -> None:
    """A log that was closed in good order is one file and its lock, fit to be copied."""
    log = await opened(tmp_path)
    await log.append("t", new(b"x"))
    await read_all(log, "t")
    await log.close()
    assert names_in(tmp_path) == ["lock", DATABASE]


class SlowDisk(Disk):
    """A disk that takes its time to sync."""

    def change(self, path: str, kind: str, place: int, data: Any) -> None:
        if kind == "sync":
            time.sleep(0.01)


@pytest.fixture
def small_room(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how little may wait to be written."""
    monkeypatch.setattr(engine_module, "WAITING_BYTES_MAX", 100_000)
    return 100_000


async def test_appends_push_back(tmp_path: Path, small_room: int) -> None:
    """However many append at once, only so much waits to be written; all come through, each caller in its order."""
    disk = SlowDisk()
    log = await opened(tmp_path, vfs=disk.name)
    appends = [asyncio.create_task(log.append("t", new(b"%d" % number + b"x" * 30_000))) for number in range(100)]
    most = 0
    while not all(append.done() for append in appends):
        await asyncio.sleep(0)
        assert log._engine is not None
        most = max(most, log._engine._waiting_bytes)
    assert 30_000 < most <= small_room
    assert [append.result() for append in appends] == [[number] for number in range(100)]
    assert log._engine is not None
    assert log._engine._waiting_bytes == 0
    await log.close()


async def test_who_gives_up_waiting_for_room_leaves_it_to_others(tmp_path: Path, small_room: int) -> None:
    """An append cancelled before there was room for it is absent, and takes no room from those behind it."""
    disk = SlowDisk()
    log = await opened(tmp_path, vfs=disk.name)
    appends = [asyncio.create_task(log.append("t", new(b"%d" % number + b"x" * 60_000))) for number in range(20)]
    await asyncio.sleep(0)
    for append in appends[5:15]:
        append.cancel()
    answers = await asyncio.gather(*appends, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [5 <= n < 15 for n in range(20)]
    assert [int(value.rstrip(b"x")) for value in await read_values(log, "t")] == [*range(5), *range(15, 20)]
    assert log._engine is not None
    assert log._engine._waiting_bytes == 0
    await log.close()


async def test_closing_fails_who_waits_for_room(tmp_path: Path, small_room: int) -> None:
    """On closing what was taken in is written, and what still waited for room fails."""
    disk = SlowDisk()
    log = await opened(tmp_path, vfs=disk.name)
    appends = [asyncio.create_task(log.append("t", new(b"x" * 60_000))) for _ in range(20)]
    await asyncio.sleep(0)
    await log.close()
    answers = await asyncio.wait_for(asyncio.gather(*appends, return_exceptions=True), 10)
    assert all(isinstance(answer, (list, LogClosed)) for answer in answers)
    log = await opened(tmp_path)
    assert await log.end("t") == sum(isinstance(answer, list) for answer in answers) > 0
    await log.close()


async def test_a_request_larger_than_the_room_comes_through_alone(tmp_path: Path, small_room: int) -> None:
    """A batch larger than all that may wait is taken in when nothing else waits."""
    log = await opened(tmp_path)
    batches = [new(*[b"x" * 50_000] * 5)] * 3
    assert await asyncio.gather(*(log.append("t", batch) for batch in batches)) == [
        list(range(first, first + 5)) for first in (0, 5, 10)
    ]
    await log.close()
