"""What databases and documents hold, as cells. Pure."""

import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from municipality_connectors.tables import BadCell, Cell, Single, checked_text


def cell_of(value: Any) -> Cell:
    """Return what a database or a document holds as a cell."""
    if value is None or isinstance(value, bool | int | datetime | date | time | timedelta):
        return value
    if isinstance(value, float | Decimal):
        return _number(value)
    if isinstance(value, list | tuple):
        return _list_of(value)
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, str | UUID):
        return checked_text(str(value))
    return BadCell(f"Kolonnen indeholder noget, der ikke kan læses som tekst ({type(value).__name__}).")


def _number(value: float | Decimal) -> Single:
    if not math.isfinite(value):
        return BadCell("Cellen er ikke et tal.")
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else float(value)


def _object(value: dict[Any, Any]) -> Cell:
    try:
        text = orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return BadCell("Cellen indeholder et objekt, der er for dybt, eller som ikke kan skrives som JSON.")
    return checked_text(text)


def _list_of(values: Sequence[Any]) -> Cell:
    # Before they are looked into: they may lie deeper in each other than can be followed.
    if any(isinstance(value, list | tuple) for value in values):
        return BadCell("Cellen indeholder lister i lister.")
    return tuple(cell for value in values if not isinstance(cell := cell_of(value), tuple))
