"""G2: power is cut at any instant, and what was not synced is there, lost or torn, sector by sector.

`python -m tests.faults.embedded.power_cuts --times 10000` must lose nothing; with `--synchronous NORMAL` it must lose
some, or it would prove nothing.
"""

import argparse
import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.embedded.database import Synchronous
from broker_adapters.log import LogError
from tests.faults.embedded import scenario
from tests.faults.embedded.disks import PowerDisk
from tests.faults.embedded.ledger import Ledger

CHANGES = 300
"""About how many changes a run makes: cuts are spread over them."""


class Cut(NamedTuple):
    """What a power cut left, and what callers had been told by then."""

    files: dict[str, bytes]
    ledger: Ledger


class Tally(NamedTuple):
    """How many cuts there were, and how many of them did harm."""

    cuts: int
    harmed: int
    first_faults: Sequence[str]


async def cut_power(folder: Path, chance: random.Random, cuts: int, synchronous: Synchronous) -> list[Cut]:
    """Run the scenario, with a failing sync now and then, and cut the power at some of its changes."""
    ledger, found = Ledger(), list[Cut]()
    instants = {chance.randrange(1, CHANGES) for _ in range(cuts)}

    def before_change(number: int) -> None:
        if number in instants:
            found.append(Cut(disk.after_cut(chance), ledger.copy()))

    disk = PowerDisk(before_change, fail_sync_at=chance.choice([0, 0, chance.randrange(5, 60)]))
    log = EmbeddedLog(folder, vfs=disk.name, synchronous=synchronous, checkpoint_pages=scenario.CHECKPOINT_PAGES)
    try:
        await log.open()
        await scenario.run(log, ledger)
    except LogError:
        pass  # the one failing sync met the opening
    finally:
        await log.close()
    return found


def lay_out(folder: Path, files: dict[str, bytes]) -> None:
    """Write files."""
    folder.mkdir()
    for name, contents in files.items():
        (folder / name).write_bytes(contents)


async def harm_of(cut: Cut, folder: Path) -> list[str]:
    """Let power return, and return what is wrong then."""
    lay_out(folder, cut.files)
    try:
        return await scenario.faults_found(folder, cut.ledger)
    except LogError as error:
        return [str(error)]


async def campaign(times: int, seed: int, synchronous: Synchronous, cuts_a_run: int = 20) -> Tally:
    """Cut the power so many times."""
    done, harmed, first_faults = 0, 0, list[str]()
    while done < times:
        seed += 1
        with scenario.scratch() as temporary:
            folder = Path(temporary)
            cuts = await cut_power(folder / "log", random.Random(seed), cuts_a_run, synchronous)
            for number, cut in enumerate(cuts[: times - done]):
                if faults := await harm_of(cut, folder / str(number)):
                    harmed += 1
                    first_faults = first_faults or [f"seed {seed}: {fault}" for fault in faults]
                done += 1
    return Tally(done, harmed, first_faults)


def main() -> int:
    """Cut the power as often as asked; return 1 when that did not end as it must."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--synchronous", choices=["FULL", "NORMAL"], default="FULL")
    asked = parser.parse_args()
    tally = asyncio.run(campaign(asked.times, asked.seed, asked.synchronous))
    how = f"seed {asked.seed}, synchronous={asked.synchronous}"
    print(f"{how}: {tally.cuts} power cuts, {tally.harmed} lost or harmed something")  # noqa: T201
    print(*tally.first_faults[:5], sep="\n")  # noqa: T201
    return int((tally.harmed == 0) != (asked.synchronous == "FULL"))


if __name__ == "__main__":
    raise SystemExit(main())
