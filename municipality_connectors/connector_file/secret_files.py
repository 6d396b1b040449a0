"""Secrets of a connector file: they stand in files of their own."""

from pathlib import Path

from municipality_connectors.connector_file.fields import FileFault


def read_secret(folder: Path, path: Path | None, place: tuple[str, ...], faults: list[FileFault]) -> str | None:
    """Return what a file with a secret holds; None where none is named. place: the keys that lead to its name."""
    if path is None:
        return None
    try:
        secret = (folder / path).read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        faults.append(FileFault(place, f"Filen {folder / path} kan ikke læses."))
        return None
    if not secret:
        faults.append(FileFault(place, f"Filen {folder / path} er tom. Læg hemmeligheden i den, og intet andet."))
        return None
    if len(secret.splitlines()) > 1:
        faults.append(FileFault(place, f"Filen {folder / path} har flere linjer. Kun hemmeligheden må stå i den."))
        return None
    return secret
