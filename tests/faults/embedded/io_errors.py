"""G6: the n-th write, sync or truncate fails, for every n of a scenario, once and for good.

`python -m tests.faults.embedded.io_errors` tries every n with every error; the suite a part of them.
"""

import argparse
import asyncio
import shutil
import tempfile
from pathlib import Path

import apsw

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.embedded.database import DATABASE
from broker_adapters.log import LogError
from tests.faults.embedded import scenario
from tests.faults.embedded.disks import FailingDisk
from tests.faults.embedded.ledger import OUTPUT, TOPIC, Ledger

ERRORS: tuple[type[apsw.Error], ...] = (apsw.IOError, apsw.FullError)


class Crashes:
    """What would be found had the process died at some instants, with what callers had been told by then."""

    def __init__(self, folder: Path, disk: FailingDisk) -> None:
        self._folder, self._disk = folder, disk
        self.kept: list[tuple[Path, Ledger]] = []

    def keep(self, ledger: Ledger) -> None:
        """Keep what is there at this instant."""
        crashed = self._folder / f"crash-{len(self.kept)}"
        crashed.mkdir()
        with self._disk.still:
            self.kept.append((crashed, ledger.copy()))
            for name in (DATABASE, f"{DATABASE}-wal"):
                if (self._folder / "log" / name).exists():
                    shutil.copy(self._folder / "log" / name, crashed / name)


async def faults_with(folder: Path, disk: FailingDisk) -> list[str]:
    """Run the scenario on a failing disk, heal it, go on without restart; return what went wrong."""
    ledger, crashes = Ledger(), Crashes(folder, disk)
    ledger.on_refusal = lambda: crashes.keep(ledger)
    log = EmbeddedLog(folder / "log", vfs=disk.name, checkpoint_pages=scenario.CHECKPOINT_PAGES)
    try:
        await log.open()
    except LogError:
        disk.heal()
        await log.open()
    try:
        await scenario.run(log, ledger)
        disk.heal()
        await log.create_topics([TOPIC, OUTPUT])
        faults = [] if await ledger.append(log, b"healed") else ["it does not go on once the disk is sound"]
        await log.check()
        faults += await ledger.faults(log)
        crashes.keep(ledger)
    finally:
        await log.close()
    for crashed, told in [*crashes.kept[:2], *crashes.kept[2:][-1:], (folder / "log", ledger)]:
        faults += [f"{crashed.name}: {fault}" for fault in await scenario.faults_found(crashed, told)]
    return faults


async def changes_of_a_scenario(folder: Path) -> int:
    """Return how many changes the scenario makes on a sound disk."""
    disk = FailingDisk(0, apsw.IOError, for_good=False)
    faults = await faults_with(folder, disk)
    assert faults == []
    return disk.changes


async def campaign() -> int:
    """Try every n with every error; print what went wrong, and return how often."""
    with tempfile.TemporaryDirectory() as temporary:
        changes = await changes_of_a_scenario(Path(temporary))
    wrong = tried = failed = 0
    for for_good in (False, True):
        for error in ERRORS:
            for fail_at in range(1, changes + 1):
                disk = FailingDisk(fail_at, error, for_good=for_good)
                with tempfile.TemporaryDirectory() as temporary:
                    faults = await faults_with(Path(temporary), disk)
                tried, failed, wrong = tried + 1, failed + bool(disk.failed), wrong + bool(faults)
                for fault in faults:
                    print(f"{error.__name__} at change {fail_at}, for good: {for_good}: {fault}")  # noqa: T201
    print(f"{tried} runs of {changes} changes each, {failed} of them met their error, {wrong} went wrong")  # noqa: T201
    return wrong


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    raise SystemExit(bool(asyncio.run(campaign())))
