"""G1: the process is killed at any instant, under load: nothing answered is lost, nothing is there twice, no gap.

`python -m tests.faults.embedded.kills --times 1000`
"""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.faults.embedded import scenario
from tests.faults.embedded.ledger import Ledger

KILLS_A_FOLDER = 25
"""How often one folder goes through a kill before a new one: what it holds is read again after each."""

UNDER_LOAD_S = 0.15
WHILE_STARTING_S = 0.4
WHILE_STARTING = 0.2
"""Which part of the kills may come before the first answer, while the file is recovered from the kill before."""


class Tally(NamedTuple):
    """How many kills there were, how many records were answered meanwhile, and what was wrong."""

    kills: int
    answered: int
    faults: list[str]


async def kill_once(folder: Path, run: int, kind: str, chance: random.Random, ledger: Ledger) -> None:
    """Start a process on the folder, kill it at some instant, and take down what it had said."""
    victim_module = "tests.faults.embedded.victim"
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-m", victim_module, str(folder), str(run), kind, stdout=asyncio.subprocess.PIPE
    )
    assert victim.stdout is not None
    said = b""
    if chance.random() < WHILE_STARTING:
        await asyncio.sleep(chance.random() * WHILE_STARTING_S)
    else:
        said = await victim.stdout.readline()
        reading = asyncio.create_task(victim.stdout.read())
        await asyncio.sleep(chance.random() * UNDER_LOAD_S)
    victim.kill()
    said += await (reading if said else victim.stdout.read())
    await victim.wait()
    for line in said.decode().splitlines(keepends=True):
        if line.endswith("\n"):
            take_down(line, ledger)


def take_down(line: str, ledger: Ledger) -> None:
    """Enter a line of the victim's into the ledger."""
    kind, *words = line.split()
    if kind == "T":
        ledger.attempted.add(words[0].encode())
    elif kind == "A":
        ledger.answered[int(words[0])] = words[1].encode()
    elif kind == "t":
        ledger.steps_attempted = int(words[0])
    else:
        ledger.steps_answered = int(words[0])


async def campaign(times: int, seed: int, kind: str = "sound") -> Tally:
    """Kill so many times, and look after each."""
    chance = random.Random(seed)
    kills, answered, faults = 0, 0, list[str]()
    while kills < times:
        ledger = Ledger()
        with tempfile.TemporaryDirectory() as temporary:
            for run in range(min(KILLS_A_FOLDER, times - kills)):
                before = len(ledger.answered)
                await kill_once(Path(temporary), run, kind, chance, ledger)
                faults += [f"kill {kills}: {fault}" for fault in await scenario.faults_found(Path(temporary), ledger)]
                kills, answered = kills + 1, answered + len(ledger.answered) - before
    return Tally(kills, answered, faults)


def main() -> int:
    """Kill as often as asked; return 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    tally = asyncio.run(campaign(asked.times, asked.seed))
    print(f"seed {asked.seed}: {tally.kills} kills, {tally.answered} records answered: {len(tally.faults)} faults")  # noqa: T201
    print(*tally.faults[:10], sep="\n")  # noqa: T201
    return int(bool(tally.faults))


if __name__ == "__main__":
    raise SystemExit(main())
