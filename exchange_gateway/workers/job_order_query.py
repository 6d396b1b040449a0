"""Find the job orders that a reader's filters can mean, in the list's order, by SQL.

What is found here is a little more than what is meant, never less; `core/job_orders.py` decides exactly.
"""

import contextlib
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import apsw

from exchange_gateway.core.job_orders import BETWEEN, Filters, Place, Sight
from exchange_gateway.core.things import ALLIANCE, PUB

FEW = 5_000
"""Up to so many orders changed since a time are found by that time; with more the list is walked."""

LEGS_MAX = 400
"""SQLite joins up to 500 selects into one."""


class _Test(NamedTuple):
    """A condition on one row, written with `{row}` for the row's name."""

    sql: str
    values: tuple[Any, ...]


def keys_of(
    connection: apsw.Connection, sight: Sight, filters: Filters, after: Place | None
) -> Generator[Place, None, None]:
    """Give places in the list's order: newest first, then by owner and id. One thing can come more than once."""
    spaces = sight.spaces
    since_ms = filters.since_ms
    recent = since_ms is not None and _are_few(connection, spaces, since_ms)
    # One leg a place lets SQLite walk them all side by side, in order, without sorting.
    groups = [spaces] if recent or len(spaces) > LEGS_MAX else [[space] for space in spaces]
    index = "by_recorded" if recent else "by_first"
    values: list[Any] = []
    legs = [_leg(sight, filters, after, group, values, index=index) for group in groups]
    rows = connection.execute(" UNION ALL ".join(legs) + " ORDER BY 1 DESC, 2, 3", values)
    with contextlib.closing(rows):
        yield from map(Place._make, rows)


def _are_few(connection: apsw.Connection, spaces: list[str], since_ms: int) -> bool:
    """Whether walking by the time of recording meets few rows."""
    places = ", ".join("?" * len(spaces))
    counted = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM job_order INDEXED BY by_recorded"  # noqa: S608  # only question marks
        f" WHERE space IN ({places}) AND recorded_ms >= ? LIMIT {FEW + 1})",
        (*spaces, since_ms),
    ).get
    return int(counted) <= FEW


def _leg(
    sight: Sight, filters: Filters, after: Place | None, spaces: list[str], values: list[Any], *, index: str
) -> str:
    """Write the select over some places, and add its values."""
    conditions = [f"space IN ({', '.join('?' * len(spaces))})"]
    values += spaces
    if after is not None:
        conditions.append("first_ms <= ? AND (first_ms < ? OR (owner, subject) > (?, ?))")
        values += (after.first_ms, after.first_ms, after.owner, after.subject)
    if filters.owner is not None:
        conditions.append("owner = ?")
        values.append(filters.owner)
    if sight.own and not any(space.startswith(PUB) for space in spaces):
        # A reader's own orders are found where they were published. Only a shortcut: `combine` decides.
        conditions.append(f"owner NOT IN ({', '.join('?' * len(sight.own))})")
        values += sorted(sight.own)
    # What an owner published shows all that an alliance shows of it; only alliances can complete one another.
    shared = not all(space.startswith(PUB) for space in spaces)
    others = sight.alliance_spaces if shared and len(sight.alliances) > 1 else []
    conditions += [_anywhere(test, others, values) for test in _tests(filters)]
    if filters.alliance is not None:
        conditions.append(
            "EXISTS (SELECT 1 FROM job_order o WHERE o.subject = r.subject AND o.owner = r.owner AND o.space = ?)"
        )
        values.append(ALLIANCE + filters.alliance)
    return (
        f"SELECT first_ms, owner, subject FROM job_order r INDEXED BY {index} "  # noqa: S608  # fixed texts
        f"WHERE {' AND '.join(conditions)}"
    )


def _tests(filters: Filters) -> Iterator[_Test]:
    if filters.municipality is not None:
        yield _Test("{row}.municipality = ?", (filters.municipality,))
    if filters.status is not None:
        yield _Test("{row}.status = ?", (filters.status,))
    if filters.since_ms is not None:
        yield _Test("{row}.recorded_ms >= ?", (filters.since_ms,))
    if filters.occupation is not None:
        yield _Test(
            "(instr({row}.occupation, ?) OR instr({row}.occupation_codes, ?))",
            (filters.occupation, BETWEEN + filters.occupation),
        )
    if filters.industry is not None:
        yield _Test("instr({row}.industry_codes, ?)", (BETWEEN + filters.industry,))
    for word in filters.words:
        yield _Test("instr({row}.text, ?)", (word,))


def _anywhere(test: _Test, spaces: list[str], values: list[Any]) -> str:
    """Write that a test holds for the row, or for the same thing in another place that the reader sees."""
    here = test.sql.format(row="r")
    values += test.values
    if not spaces:
        return here
    elsewhere = test.sql.format(row="o")
    places = ", ".join("?" * len(spaces))
    values += (*spaces, *test.values)
    return (
        f"({here} OR EXISTS (SELECT 1 FROM job_order o WHERE o.subject = r.subject AND o.owner = r.owner "  # noqa: S608
        f"AND o.space IN ({places}) AND {elsewhere}))"
    )
