"""Every kind of source: what opens it, and which keys of `[[publish]]` only it and its like know."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from municipality_connectors.connector_file.fields import FileFault
from municipality_connectors.connector_file.model import AnySource, Publish
from municipality_connectors.connector_file.opening.database import open_outbox, open_tables
from municipality_connectors.connector_file.opening.folder import open_folder
from municipality_connectors.connector_file.opening.kafka import open_topics
from municipality_connectors.connector_file.opening.opening import Entry, Opened, Opening
from municipality_connectors.connector_file.opening.rest import open_rest
from municipality_connectors.connector_file.opening.sheets import open_sheets
from municipality_connectors.connector_file.opening.webhook import open_webhook
from municipality_connectors.mapping.plan import Plan


class Kind(NamedTuple):
    """A kind of source. knows: the keys of `[[publish]]` that not every kind knows. open: adds what is wrong."""

    open: Callable[[Any, Opening], Opened]
    knows: frozenset[str]


def _kind(opened_by: Callable[[Any, Opening], Opened], *knows: str) -> Kind:
    return Kind(opened_by, frozenset(knows))


KINDS = {
    "excel": _kind(open_sheets, "worksheet", "header-row"),
    "csv": _kind(open_sheets, "header-row"),
    "sql": _kind(open_tables, "table", "query", "changed-since", "overlap"),
    "outbox": _kind(open_outbox, "table", "sequence", "sent", "payload"),
    "folder": _kind(open_folder, "items"),
    "rest": _kind(open_rest, "path", "items", "parameters", "paging", "since"),
    "webhook": _kind(open_webhook, "path", "items"),
    "kafka": _kind(open_topics, "topic"),
}
"""By the `kind` of `[source]`."""


def open_source(
    source: AnySource, entries: list[tuple[Publish, Plan]], folder: Path, fingerprint: bytes, faults: list[FileFault]
) -> Opened:
    """Return what opens a file's source. fingerprint: changes with the file. What is wrong is added to `faults`."""
    numbered = [Entry(publish, plan, number, faults) for number, (publish, plan) in enumerate(entries, 1)]
    for entry in numbered:
        _check_keys(entry, source.kind)
    return KINDS[source.kind].open(source, Opening(numbered, folder, fingerprint, faults))


def _check_keys(entry: Entry, kind: str) -> None:
    """Add which keys are written that only other kinds know."""
    for name, info in Publish.model_fields.items():
        key = info.alias or name
        kinds = [other for other, one in KINDS.items() if key in one.knows]
        if name in entry.publish.model_fields_set and kinds and kind not in kinds:
            entry.fault(f"Bruges ikke, når kilden er {kind}; kun ved {', '.join(kinds)}.", key)
