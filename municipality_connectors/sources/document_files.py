"""A folder of exports as a source: JSON, NDJSON and XML files."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import orjson
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from municipality_connectors.mapping.plan import Plan
from municipality_connectors.sources.documents import document_table, of_xml
from municipality_connectors.sources.folders import Files, files_in
from municipality_connectors.sources.portion import Done, MarkOf, Portion
from municipality_connectors.sources.replacing import read_file
from municipality_connectors.tables import SourceError, Table

ENDINGS = (".json", ".ndjson", ".jsonl", ".xml")


class DocumentFiles:
    """The documents of one folder, or a single one. wanted: each plan, and where its items are in a document."""

    def __init__(self, files: Files, wanted: list[tuple[Plan, str | None]], fingerprint: bytes) -> None:
        self._files, self._wanted, self._fingerprint = files, wanted, fingerprint

    def portions(self, mark_of: MarkOf) -> Iterator[Portion | SourceError]:  # noqa: ARG002  # a file tells by itself
        """Iterate over the files in the order of their names. Raises `SourceError`."""
        for found in files_in(self._files, ENDINGS):
            yield found if isinstance(found, SourceError) else DocumentPortion(found, self._wanted, self._fingerprint)


class DocumentPortion(Portion):
    """One file."""

    def __init__(self, path: Path, wanted: list[tuple[Plan, str | None]], fingerprint: bytes) -> None:
        self.place = str(path)
        self._path, self._wanted, self._fingerprint = path, wanted, fingerprint
        self._raw: bytes | None = None

    def is_as_marked(self, mark: bytes) -> bool:
        """Whether its content is what was read."""
        self._raw = read_file(self._path)
        return mark == self._fingerprint + sha256(self._raw).digest()

    def tables(self) -> Iterator[tuple[Plan, Table] | SourceError]:
        """Iterate over the items of each kind. Raises `SourceError` for a file that is no document."""
        raw = read_file(self._path) if self._raw is None else self._raw
        self._raw, self._digest = None, sha256(raw).digest()
        document = parsed(raw, self._path.suffix.lower())
        for plan, items in self._wanted:
            yield document_table(plan, document, items, may_be_empty=False)

    def mark(self, done: Done) -> bytes:  # noqa: ARG002  # it tells how far it was read
        """Return the digest of what was read."""
        return self._fingerprint + self._digest


def parsed(raw: bytes, ending: str) -> Any:
    """Return a document by its file's ending. Raises `SourceError`."""
    if not raw.strip():
        raise SourceError("empty-file", "Filen er tom.")
    if ending == ".xml":
        return _xml(raw)
    text = raw.removeprefix(b"\xef\xbb\xbf")
    if ending == ".json":
        return _json(text, None)
    lines = [line for line in enumerate(text.splitlines(), 1) if line[1].strip()]
    return [_json(line, number) for number, line in lines]


def _json(raw: bytes, line: int | None) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        where = f"linje {line if line is not None else error.lineno}, tegn {error.colno}"
        raise SourceError(
            "unreadable", f"Filen er ikke gyldig JSON ({where}). Er den skrevet helt, og er den UTF-8?", row=line
        ) from None


def _xml(raw: bytes) -> Any:
    try:
        root: Element = fromstring(raw)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        detail = "den har en DTD eller entiteter" if isinstance(error, DefusedXmlException) else str(error)
        raise SourceError("unreadable", f"Filen er ikke XML, som vi læser ({detail}).") from None
    name = root.tag.rpartition("}")[2]
    return {name: of_xml(root)}
