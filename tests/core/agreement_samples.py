"""Agreements and the schemas' fields for the tests of the core."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from exchange_gateway.core.access import Principal, Role
from exchange_gateway.core.agreements import AgreementBook, KnownFields, known_fields
from exchange_gateway.core.agreements.proposals import Accepted, Refused, Unchanged, propose
from schemas.identifiers import EventName

NOW_US = 1_795_000_000_000_000
OPERATOR = Principal("driften", frozenset({Role.OPERATOR}))
HERNING = Principal("0657", frozenset({Role.COORDINATOR}))
STRUER = Principal("0671", frozenset({Role.COORDINATOR, Role.PUBLISHER, Role.READER}))


@cache
def fields() -> KnownFields:
    """What the schemas of version 1.0 have."""
    folder = files("schemas")
    return known_fields((name.value, json.loads(folder.joinpath(name, "1.0.json").read_text())) for name in EventName)


def agreement(**changes: Any) -> dict[str, Any]:
    """Build a small alliance of Herning, Struer and Lemvig; a value of ... takes a property out."""
    body: dict[str, Any] = {
        "id": "vest",
        "name": "Vestalliancen",
        "kind": "alliance",
        "purpose": "Kandidater på tværs",
        "legalBasis": "Aftale",
        "validFrom": "2026-01-01T00:00:00Z",
        "coordinators": ["0657"],
        "members": [{"participant": code} for code in ("0657", "0671", "0665")],
        "shares": {"job-order": {}, "visit": {}},
    }
    body.update(changes)
    return {name: value for name, value in body.items() if value is not ...}


def put(
    book: AgreementBook,
    body: Any,
    *,
    seen: str | None = None,
    principal: Principal = OPERATOR,
    alliance: str | None = None,
) -> Accepted | Unchanged | Refused:
    """Propose `body` as new, or with `seen` as the version that follows; what is accepted goes into the book."""
    decision = propose(
        book,
        alliance or body["id"],
        body,
        fields=fields(),
        if_none_match="*" if seen is None else None,
        if_match=seen,
        principal=principal,
        now_us=NOW_US,
    )
    if isinstance(decision, Accepted):
        book.apply(book.up_to_offset, decision.record.value)
    return decision


def book_of(*bodies: dict[str, Any]) -> AgreementBook:
    """Return a book in which each body was accepted, as its alliance's next version."""
    book = AgreementBook()
    for body in bodies:
        newest = book.newest(body["id"])
        decision = put(book, body, seen=newest.etag if newest else None)
        assert isinstance(decision, Accepted), decision
    return book
