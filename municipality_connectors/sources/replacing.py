"""Replace a file that its owner also works in: all at once, and never against the owner's hand."""

import os
import shutil
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from municipality_connectors.tables import FILE_BYTES_MAX, SourceError, SourceLocked

ADVICE = "Luk arket, og kør igen; så bliver de manglende værdier skrevet ind."


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading. Raises `SourceError` for one that is missing or locked."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise SourceError("missing-file", "Filen findes ikke. Er navnet og mappen skrevet rigtigt?") from None
    except IsADirectoryError:
        raise SourceError("missing-file", "Det er en mappe, ikke en fil. Angiv selve filen.") from None
    except PermissionError:
        message = "Filen må ikke læses. Er den åben i et andet program? Luk den, og kør igen."
        raise SourceError("unreadable", message) from None
    except OSError as error:
        raise SourceError("unreadable", f"Filen kan ikke læses ({error.strerror}).") from None


def read_file(path: Path) -> bytes:
    """Return a file's content. Raises `SourceError` for one that is missing, locked or too large."""
    with open_file(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > FILE_BYTES_MAX:
            raise SourceError(
                "too-large",
                f"Filen fylder {size // 1024 // 1024} MB; der læses højst {FILE_BYTES_MAX // 1024 // 1024} MB. "
                "Del arket i flere filer, eller fjern billeder og gamle rækker.",
            )
        return stream.read()


def lock_reason(path: Path) -> str | None:
    """Return why the file could not be replaced now, in Danish; None when nothing is known to stop it."""
    for lock in (path.with_name("~$" + path.name), path.with_name(f".~lock.{path.name}#")):
        if lock.exists():
            return (
                f"Arket er åbent i et regnearksprogram (låsefilen {lock.name} findes). {ADVICE} "
                "Er arket ikke åbent hos nogen, så slet låsefilen."
            )
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        return (
            f"Filen eller dens mappe er skrivebeskyttet. Fjern skrivebeskyttelsen, eller skriv værdierne selv. {ADVICE}"
        )
    return None


def replace_file(path: Path, before: bytes, write: Callable[[BinaryIO], None]) -> None:
    """Write a new content beside the file, then put it in the file's place at once.

    before: the SHA-256 of the content that was read; a file changed since is left alone.
    Raises `SourceLocked`, and then the file is as it was.
    """
    target = path.resolve()
    reason = lock_reason(path) or (lock_reason(target) if target != path else None)
    if reason is not None:
        raise SourceLocked(reason)
    try:
        handle, name = tempfile.mkstemp(prefix=".kommunebro-", suffix=".tmp", dir=target.parent)
    except OSError as error:
        raise SourceLocked(f"Der kan ikke skrives i arkets mappe ({error.strerror}). {ADVICE}") from None
    try:
        with os.fdopen(handle, "w+b") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        shutil.copymode(target, name)
        if sha256(target.read_bytes()).digest() != before:
            raise SourceLocked("Filen blev ændret, mens den blev læst. Kør igen.")
        Path(name).replace(target)
    except OSError as error:
        raise SourceLocked(f"Arket kan ikke skrives ({error.strerror}); det er måske åbent i Excel. {ADVICE}") from None
    finally:
        Path(name).unlink(missing_ok=True)
