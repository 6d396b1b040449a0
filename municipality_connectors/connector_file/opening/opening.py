"""What every kind of source is opened with, and what comes of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from municipality_connectors.connector_file.fields import FileFault
from municipality_connectors.connector_file.model import Publish
from municipality_connectors.connector_file.secret_files import read_secret
from municipality_connectors.mapping.plan import Plan
from municipality_connectors.sources.documents import compiled
from municipality_connectors.sources.folders import SETTLED_AFTER_S, Files
from municipality_connectors.sources.portion import Source

if TYPE_CHECKING:
    from municipality_connectors.sources.webhook import Webhook

ONLY_CHANGED = "Kan ikke være withdraw her: kun det ændrede læses. Siger kilden, hvad der er væk, så brug withdrawn."


@dataclass(frozen=True)
class Opened:
    """A source that can be opened again at each run.

    watched: files whose changes are worth a run of their own. webhook: what is called, where the source is one.
    """

    source: Callable[[], Source]
    watched: Files | None = None
    webhook: "Webhook | None" = None


class Entry(NamedTuple):
    """One `[[publish]]` of the file, what becomes of its rows, and where it stands: by number, from 1."""

    publish: Publish
    plan: Plan
    number: int
    faults: list[FileFault]

    def fault(self, message: str, *below: str) -> None:
        """Add what is wrong with it. below: the keys that lead there from it; message: Danish."""
        self.faults.append(FileFault(("publish", str(self.number), *below), message))

    def check_documents(self) -> None:
        """Add what is wrong with fields that are read from documents: missing ones, and paths that are none."""
        self.check_fields("Skriv, hvor i dokumentet felterne står.")
        self.check_paths()

    def check_fields(self, message: str) -> None:
        """Add `message`, in Danish, where no fields are written."""
        if self.plan.fields is None:
            self.fault(message, "fields")

    def check_paths(self) -> None:
        """Add which fields are no paths in a document."""
        for path in self.plan.columns:
            self._check_path(path, "fields")
        if self.publish.items is not None:
            self._check_path(self.publish.items, "items")

    def check_only_changed(self) -> None:
        """Add what is wrong where a source tells only of what changed, and so never of what is gone."""
        if self.plan.withdraw_vanished:
            self.fault(ONLY_CHANGED, "vanished")

    def _check_path(self, path: str, key: str) -> None:
        try:
            compiled(path)
        except ValueError as error:
            self.fault(str(error), key)


@dataclass(frozen=True)
class Opening:
    """A file whose source is being opened. folder: where it lies; fingerprint: changes with it.

    What is wrong is added to `faults`.
    """

    entries: Sequence[Entry]
    folder: Path
    fingerprint: bytes
    faults: list[FileFault]

    def fault(self, message: str, *place: str) -> None:
        """Add what is wrong. place: the keys that lead there; message: Danish."""
        self.faults.append(FileFault(place, message))

    def secret(self, path: Path | None, *place: str) -> str | None:
        """Return what a file with a secret holds; None where none is named."""
        return read_secret(self.folder, path, place, self.faults)

    def files(self, pattern: str) -> Files:
        """Return the files that a pattern of the connector file means."""
        return Files.written(pattern, self.folder, SETTLED_AFTER_S)
