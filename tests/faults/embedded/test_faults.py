"""Short forms of the campaigns G1, G2 and G6 on the embedded log, each with the control that shows it can fail."""

import subprocess
from pathlib import Path

import apsw
import pytest

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.embedded.writer import Writer
from broker_adapters.log import LogUnavailable
from tests.contract.stores import new, read_to, values
from tests.faults.embedded import full_disk, io_errors, kills, power_cuts
from tests.faults.embedded.disks import Disk


async def test_killing_the_process_loses_nothing() -> None:
    """G1: of what was answered under load nothing is lost, nothing is there twice, and there is no gap."""
    tally = await kills.campaign(times=8, seed=1)
    assert tally.faults == []
    assert tally.answered > 100


async def test_killing_a_process_that_answers_too_early_is_noticed() -> None:
    """Control: a log that answers before it has written is found out by the same kills."""
    assert (await kills.campaign(times=4, seed=1, kind="too early")).faults


async def test_cutting_the_power_loses_nothing() -> None:
    """G2: whatever was not synced may be lost or torn, and nothing that was answered is."""
    tally = await power_cuts.campaign(times=200, seed=1, synchronous="FULL")
    assert (tally.cuts, tally.harmed, list(tally.first_faults)) == (200, 0, [])


async def test_cutting_the_power_without_syncing_loses_something() -> None:
    """Control: with `synchronous=NORMAL` the same power cuts lose some, so they cut where it hurts."""
    assert (await power_cuts.campaign(times=60, seed=1, synchronous="NORMAL")).harmed > 0


async def test_a_disk_that_fails_is_never_answered_for() -> None:
    """G6: whichever change fails, once or for good, answers stay true and the log goes on without restart."""
    tally = await io_errors.campaign(every=16)
    assert tally.faults == []
    assert tally.failed > tally.runs // 2


async def test_believing_an_error_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: a log that takes an error of COMMIT for "not written", and leaves it at that, is found out."""
    monkeypatch.setattr(Writer, "_is_committed", lambda *_: False)
    assert (await io_errors.campaign(every=3, until_first_fault=True)).faults


@pytest.mark.parametrize("way", ["limit", *(["tmpfs"] if full_disk.can_mount() else [])])
def test_a_full_disk_is_survived(way: str, tmp_path: Path) -> None:
    """G6: on a disk that is really full nothing is answered that is not there, and it goes on once there is room."""
    ran = subprocess.run(
        full_disk.command(tmp_path, way), check=False, capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )
    assert (ran.returncode, ran.stderr) == (0, "")


class UnreadableDisk(Disk):
    """A disk of which nothing can be read for a while."""

    unreadable = False

    def change(self, path: str, kind: str, place: int, data: object) -> None:
        """Every change is fine."""

    def read(self, path: str) -> None:
        if self.unreadable:
            raise apsw.IOError("this sector cannot be read")


async def test_a_disk_that_cannot_be_read_is_its_own_error(tmp_path: Path) -> None:
    """A read that fails says so, and what it was to read comes once the disk can be read."""
    disk = UnreadableDisk()
    log = EmbeddedLog(tmp_path / "log", vfs=disk.name)
    await log.open()
    await log.create_topics(["t"])
    await log.append("t", new(*[b"x" * 8000] * 50))
    async with log.reader({"t": 0}) as reader:
        disk.unreadable = True
        with pytest.raises(LogUnavailable):
            await reader.poll()
        disk.unreadable = False
        assert values(await read_to(reader, "t", 50)) == [b"x" * 8000] * 50
    await log.close()
