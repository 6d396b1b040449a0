"""G6: the disk is really full, and then it is not: `full_disk FOLDER limit|tmpfs`, in a process of its own.

`limit` has the operating system refuse files over a size; `tmpfs` mounts a small file system, as a user may in a
namespace of its own (`unshare`).
"""

import asyncio
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.embedded.database import DATABASE
from broker_adapters.log import LogError, LogFull
from tests.faults.embedded import scenario
from tests.faults.embedded.ledger import OUTPUT, TOPIC, Ledger, read_all

ROOM_BYTES = 12 * 1024 * 1024
BATCH = 20
VALUE = b"x" * 2000
TRIES_WHEN_FULL = 20


def can_mount() -> bool:
    """Tell whether this machine lets a user mount a tmpfs of its own."""
    unshare = shutil.which("unshare")
    return (
        unshare is not None
        and subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode == 0
    )


def command(folder: Path, way: str) -> list[str]:
    """Return the command that runs this in a process of its own."""
    run = [sys.executable, "-m", __name__, str(folder), way]
    return ["unshare", "-rm", *run] if way == "tmpfs" else run


def fill(folder: Path, way: str) -> Path | None:
    """Make the room small; on a tmpfs a ballast takes half of it, to be removed later."""
    if way == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, resource.RLIM_INFINITY))
        return None
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={2 * ROOM_BYTES}", "tmpfs", folder], check=True)
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(ROOM_BYTES))
    return ballast


def free(ballast: Path | None) -> None:
    """Make room."""
    if ballast is None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        ballast.unlink()


async def append_until_full(log: EmbeddedLog, ledger: Ledger) -> int:
    """Append batches until it has failed a number of times; return how many were answered."""
    number = failed = 0
    while failed < TRIES_WHEN_FULL:
        number += 1
        failed += not await ledger.append(log, *(b"%d/%d/" % (number, part) + VALUE for part in range(BATCH)))
    return number - failed


async def error_of(log: EmbeddedLog) -> LogError | None:
    """Return what the log says of its own state."""
    try:
        await log.check()
    except LogError as error:
        return error
    return None


async def faults_of(folder: Path, way: str) -> list[str]:
    """Fill the disk, look, make room, go on without restart, look again; return what was wrong."""
    ballast = fill(folder, way)
    ledger, faults = Ledger(), list[str]()
    log = EmbeddedLog(folder / "log")
    await log.open()
    await log.create_topics([TOPIC, OUTPUT])
    answered = await append_until_full(log, ledger)
    error = await error_of(log)
    print(f"{answered} batches found room; then: {error}")  # noqa: T201
    if way == "tmpfs" and error is not None and not isinstance(error, LogFull):
        faults.append(f"a full disk was called {error!r}")
    if answered < ROOM_BYTES // 10 // (BATCH * len(VALUE)):
        faults.append(f"only {answered} batches found room")
    if not await read_all(log, TOPIC):
        faults.append("nothing can be read while the disk is full")
    free(ballast)
    if not await ledger.append(log, b"there is room again"):
        faults.append("it does not go on when there is room again")
    faults += await ledger.faults(log)
    with tempfile.TemporaryDirectory() as elsewhere:
        for file in (DATABASE, f"{DATABASE}-wal"):
            await asyncio.to_thread(shutil.copy, folder / "log" / file, elsewhere)
        faults += [f"after a crash: {fault}" for fault in await scenario.faults_found(Path(elsewhere), ledger.copy())]
    await log.close()
    return faults + [f"after closing: {fault}" for fault in await scenario.faults_found(folder / "log", ledger)]


if __name__ == "__main__":
    found = asyncio.run(faults_of(Path(sys.argv[1]), sys.argv[2]))
    print(*found[:20], sep="\n")  # noqa: T201
    raise SystemExit(bool(found))
