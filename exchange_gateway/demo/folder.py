"""The demo's data folder: a temporary one that goes away, or one that was named and stays."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from broker_adapters.log import LogFolderUnusable

MARKER = "demo.json"
"""Says that a folder is a demo's, and how far it came."""


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Where the demo keeps everything. starts: how often it was used; played: whether the day is in it."""

    path: Path
    temporary: bool
    starts: int
    ends_at: datetime
    played: bool

    def remember(self, *, played: bool) -> None:
        """Write the marker, so that a later start knows what is here."""
        marker = {"starts": self.starts, "endsAt": self.ends_at.isoformat(), "played": played}
        (self.path / MARKER).write_text(json.dumps(marker) + "\n", "utf-8")


@contextmanager
def demo_folder(named: Path | None, now: datetime) -> Iterator[DemoFolder]:
    """Give a folder to the demo. Raises `LogFolderUnusable` for one that holds something else."""
    if named is not None:
        yield _kept(named.absolute(), now)
        return
    with tempfile.TemporaryDirectory(prefix="kommunebro-demo-", ignore_cleanup_errors=True) as path:
        yield DemoFolder(Path(path), temporary=True, starts=1, ends_at=now, played=False)


def _kept(path: Path, now: datetime) -> DemoFolder:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        empty = not any(path.iterdir())
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        marker = json.loads((path / MARKER).read_text("utf-8")) if not empty else {}
        folder = DemoFolder(
            path,
            temporary=False,
            starts=int(marker.get("starts", 0)) + 1,
            ends_at=datetime.fromisoformat(marker.get("endsAt", now.isoformat())).astimezone(UTC),
            played=bool(marker.get("played", False)),
        )
    except (OSError, ValueError, TypeError, AttributeError):
        raise LogFolderUnusable(
            f"{path} holds something that is not a demo's, and the demo would fill it with sample data. "
            "Name an empty folder with --data, or leave --data out."
        ) from None
    try:
        folder.remember(played=folder.played)
    except OSError as error:
        raise _unusable(path, error) from None
    return folder


def _unusable(path: Path, error: OSError) -> LogFolderUnusable:
    return LogFolderUnusable(
        f"The demo's folder {path} cannot be used: {error.strerror}. Name another with --data, or leave --data out."
    )
