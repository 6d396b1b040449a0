"""Files that others write: which of a folder are ours to read, and which are still being written."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from municipality_connectors.tables import SourceError

FILES_MAX = 10_000
"""Files of one folder; a folder with more is the wrong folder, or nobody tidies it up."""

SETTLED_AFTER_S = 2.0
"""A file that was changed a moment ago may still be being written."""

SETTLED_WITHIN_S = 10.0
"""How long a file that is being written is waited for, before the others' turn comes."""

_LOCK_FILES = ("~$", ".~lock.", ".")


@dataclass(frozen=True)
class Files:
    """Single files, or those below a folder that fit a pattern. settled_after_s: 0 to read a file however new it is."""

    paths: tuple[Path, ...] = ()
    folder: Path | None = None
    pattern: str = "*"
    settled_after_s: float = 0.0

    @classmethod
    def written(cls, path: str, folder: Path, settled_after_s: float) -> "Files":
        """Return the files that a connector file names: one, or a pattern such as `eksport/*.xlsx`."""
        named = folder / path
        if any(sign in path for sign in "*?["):
            return cls(folder=named.parent, pattern=named.name, settled_after_s=settled_after_s)
        return cls(paths=(named,), settled_after_s=settled_after_s)

    def seen(self) -> object:
        """Return something that differs once one of the files does, or there is another."""
        found = self.paths if self.folder is None else self.folder.glob(self.pattern)
        return sorted(filter(None, map(_stat, found)))


def _stat(path: Path) -> tuple[str, int, int] | None:
    if path.name.startswith(_LOCK_FILES):
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_mtime_ns, found.st_size


def files_in(files: Files, endings: Sequence[str]) -> Iterator[Path | SourceError]:
    """Iterate over the files in the order of their names, or what is wrong with one. Raises `SourceError`."""
    for path in _found(files, endings):
        if files.settled_after_s and not _settled(path, files.settled_after_s):
            message = "Filen er ved at blive skrevet. Den bliver læst næste gang."
            yield SourceError("being-written", message, place=str(path))
        else:
            yield path


def _found(files: Files, endings: Sequence[str]) -> list[Path]:
    folder = files.folder
    if folder is None:
        return list(dict.fromkeys(files.paths))
    if not folder.is_dir():
        message = f"Mappen {folder} findes ikke. Er den skrevet rigtigt, og er drevet forbundet?"
        raise SourceError("missing-folder", message, place=str(folder))
    found = [
        path for path in sorted(folder.glob(files.pattern))
        if path.is_file() and not path.name.startswith(_LOCK_FILES) and path.suffix.lower() in endings
    ]  # fmt: skip
    if len(found) > FILES_MAX:
        message = f"Mappen {folder} har over {FILES_MAX} filer. Ryd op i den."
        raise SourceError("too-many-files", message, place=str(folder))
    if not found:
        message = f"Mappen {folder} har ingen filer, der passer til {files.pattern}."
        raise SourceError("missing-file", message, place=str(folder))
    return found


def _settled(path: Path, after_s: float) -> bool:
    """Wait, but not for long, until a file has not been changed for a moment."""
    give_up = time.monotonic() + SETTLED_WITHIN_S
    while True:
        try:
            age_s = time.time() - path.stat().st_mtime
        except OSError:
            return True
        # A time in the future is another machine's clock, and says nothing.
        if age_s < 0 or age_s >= after_s:
            return True
        if time.monotonic() > give_up:
            return False
        time.sleep(min(after_s - age_s, 0.5))
