"""G6: the n-th write, sync or truncate fails, for every n of a scenario, once and for good.

`python -m tests.faults.embedded.io_errors` tries every n with every error, `--every 12` a part of them.
"""

import argparse
import asyncio
import itertools
import shutil
from pathlib import Path
from typing import NamedTuple

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


class Tally(NamedTuple):
    """How many runs there were, how many met the error meant for them, and what was wrong."""

    runs: int
    failed: int
    faults: list[str]


async def campaign(*, every: int = 1, first: int = 1, until_first_fault: bool = False) -> Tally:
    """Fail at every n, or every so many, with every error, once and for good."""
    with scenario.scratch() as temporary:
        changes = await changes_of_a_scenario(Path(temporary))
    runs, failed, faults = 0, 0, list[str]()
    for for_good, error in itertools.product((False, True), ERRORS):
        for fail_at in range(first, changes + 1, every):
            disk = FailingDisk(fail_at, error, for_good=for_good)
            with scenario.scratch() as temporary:
                found = await faults_with(Path(temporary), disk)
            runs, failed = runs + 1, failed + bool(disk.failed)
            if until_first_fault and found:
                return Tally(runs, failed, found)
            faults += [f"{error.__name__} at change {fail_at}, for good {for_good}: {fault}" for fault in found]
        first = first % every + 1  # another part of the changes for each error
    return Tally(runs, failed, faults)


def main() -> int:
    """Fail as asked; return 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="fail at every so manyth change only")
    tally = asyncio.run(campaign(every=parser.parse_args().every))
    print(f"{tally.runs} runs, {tally.failed} of them met their error: {len(tally.faults)} faults")  # noqa: T201
    print(*tally.faults[:10], sep="\n")  # noqa: T201
    return int(bool(tally.faults))


if __name__ == "__main__":
    raise SystemExit(main())
