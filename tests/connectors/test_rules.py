"""The rules of a connector file, one by one and by properties; and how plans are held against a table's header."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from municipality_connectors.mapping.cells import CellError
from municipality_connectors.mapping.plan import Layout, Plan, lay_out, unprovided
from municipality_connectors.mapping.rows import Mapped, is_wanted, map_row, show_row
from municipality_connectors.mapping.rules import Condition, Rule, strptime_form
from municipality_connectors.mapping.sheet_types import SheetType, all_sheet_types, sheet_type
from municipality_connectors.sheets.make_example_sheets import example_things
from municipality_connectors.tables import BadCell, Cell, Row, SourceError, is_blank
from schemas.identifiers import EventName

JOB_ORDERS = sheet_type(EventName.JOB_ORDER)


def read(rule: Rule, **cells: Cell) -> Cell:
    """Read a rule from a row with these columns."""
    return rule.cell(cells.get, lambda: cells)


@pytest.mark.parametrize(
    ("rule", "cells", "found"),
    [
        (Rule(columns=("a",)), {"a": "x"}, "x"),
        (Rule(columns=("a", "b")), {"a": " ", "b": 7}, 7),
        (Rule(columns=("a", "b"), join=", "), {"a": "x", "b": "y"}, "x, y"),
        (Rule(columns=("a", "b"), join=", "), {"a": None, "b": "y"}, "y"),
        (Rule(columns=("a", "b"), join=", "), {}, None),
        (Rule(template="DFDG: {a}"), {"a": "8de97cdf"}, "DFDG: 8de97cdf"),
        (Rule(template="DFDG: {a}"), {"a": ""}, None),
        (Rule(template="{a} {b} {c}"), {"a": "x", "c": "y"}, "x y"),
        (Rule(value="alliances"), {}, "alliances"),
        (Rule(value="x", when=(Condition("a", frozenset({"ja"})),)), {"a": "JA "}, "x"),
        (Rule(value="x", when=(Condition("a", frozenset({"ja"})),)), {"a": "nej"}, None),
        (Rule(value="x", when=(Condition("a", frozenset({"ja"})),), default="y"), {"a": "nej"}, "y"),
        (Rule(value="x", when=(Condition("a", frozenset({"ja"}), negated=True),)), {"a": "nej"}, "x"),
        (Rule(value="x", when=(Condition("a"),)), {"a": ""}, "x"),
        (Rule(value="x", when=(Condition("a", negated=True),)), {"a": ""}, None),
        (Rule(columns=("a",), split="/"), {"a": "x / y//z"}, ("x", "y", "z")),
        (Rule(columns=("a",), split="/", part=2), {"a": "x / y"}, "y"),
        (Rule(columns=("a",), split="/", part=3), {"a": "x / y"}, None),
        (Rule(columns=("a",), codes={"1": "open"}), {"a": 1}, "open"),
        (Rule(columns=("a",), codes={"aktiv sag": "open"}), {"a": " Aktiv  Sag"}, "open"),
        (Rule(columns=("a",), codes={"1": "open"}, otherwise="paused"), {"a": 2}, "paused"),
        (Rule(columns=("a",), split=";", codes={"1": "x", "2": "y"}), {"a": "1; 2"}, ("x", "y")),
        (Rule(columns=("a",), date="MM/dd/yyyy"), {"a": "11/23/2026"}, date(2026, 11, 23)),
        (Rule(columns=("a",), date="yyyyMMdd"), {"a": 20261123}, date(2026, 11, 23)),
        (Rule(columns=("a",), date="unix"), {"a": 0}, datetime(1970, 1, 1, tzinfo=UTC)),
        (Rule(columns=("a",), date="unix-ms"), {"a": "1500"}, datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)),
        (Rule(columns=("a",), date="dd.MM.yyyy"), {"a": date(2026, 1, 2)}, date(2026, 1, 2)),
        (Rule(columns=("a",), decimal="."), {"a": "1,234.5"}, 1234.5),
        (Rule(columns=("a",), decimal=","), {"a": "1.234,5"}, 1234.5),
        (Rule(columns=("a",), times=0.5), {"a": 75}, 37.5),
        (Rule(columns=("a",), divide_by=60), {"a": 2220}, 37),
        (Rule(columns=("a",), divide_by=60), {"a": "2250"}, 37.5),
        (Rule(columns=("a",), cut=5), {"a": "123456"}, "1234…"),
        (Rule(columns=("a",), cut=6), {"a": "123456"}, "123456"),
        (Rule(columns=("a",), default=1), {"a": None}, 1),
        (Rule(function=lambda row: f"{row['a']}!"), {"a": "x"}, "x!"),
    ],
)
def test_a_rule_gives(rule: Rule, cells: dict[str, Cell], found: Cell) -> None:
    """One cell, from which the field is read."""
    cell = read(rule, **cells)
    assert (cell == found) or (found is None and is_blank(cell))


def test_a_time_of_day_without_a_zone_is_danish() -> None:
    """Summer time included."""
    cell = read(Rule(columns=("a",), date="dd-MM-yyyy HH:mm"), a="01-07-2026 08:05")
    assert isinstance(cell, datetime)
    assert cell.isoformat() == "2026-07-01T08:05:00+02:00"


@pytest.mark.parametrize(
    ("rule", "cell", "told"),
    [
        (Rule(columns=("a",), codes={"1": "open"}), "2", "Koden »2« står ikke"),
        (Rule(columns=("a",), date="dd.MM.yyyy"), "i morgen", "»i morgen« er ikke en dato skrevet som dd.MM.yyyy"),
        (Rule(columns=("a",), date="unix"), "1e300", "er ikke en dato"),
        (Rule(columns=("a",), decimal="."), "tolv", "»tolv« er ikke et tal med . før decimalerne"),
        (Rule(columns=("a",), codes={"1": "open"}), BadCell("Cellen viser en fejl."), "Cellen viser en fejl."),
        (Rule(columns=("a",), codes={"1": "open"}), "010180-1234", "xxxxxx-xxxx"),
        (Rule(function=lambda row: 1 / 0), "x", "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_understood_is_told_in_danish(rule: Rule, cell: Cell, told: str) -> None:
    """And never with a citizen's number in it."""
    with pytest.raises(CellError, match=told.replace(".", r"\.")):
        read(rule, a=cell)


CELLS = st.one_of(
    st.none(), st.text(max_size=20), st.integers(-(10**6), 10**6), st.floats(allow_nan=False), st.booleans(),
    st.dates(), st.datetimes(), st.just(BadCell("Fejl.")), st.tuples(st.text(max_size=5), st.integers(0, 9)),
)  # fmt: skip
NAMES = st.sampled_from(["a", "b", "c"])
RULES = st.builds(
    Rule,
    when=st.lists(
        st.builds(Condition, NAMES, st.frozensets(st.sampled_from(["1", "x", "ja"]), max_size=2), st.booleans()),
        max_size=2,
    ).map(tuple),
    columns=st.lists(NAMES, min_size=1, max_size=2).map(tuple),
    join=st.none() | st.sampled_from([", ", ""]),
    template=st.sampled_from(["", "", "{a} og {b}", "{", "{}"]),
    split=st.sampled_from(["", ";", "1"]),
    part=st.none() | st.integers(1, 3),
    codes=st.none() | st.dictionaries(st.sampled_from(["1", "x", "ja"]), st.sampled_from(["open", 3])),
    otherwise=st.none() | st.just("paused"),
    date=st.sampled_from(["", "", "dd.MM.yyyy", "unix", "%", "yyyy yyyy"]),
    decimal=st.sampled_from(["", "", ",", "."]),
    times=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    divide_by=st.none() | st.floats(0.001, 1000),
    cut=st.none() | st.integers(1, 5),
    default=st.none() | st.just("d"),
)


@given(RULES, st.fixed_dictionaries({"a": CELLS, "b": CELLS, "c": CELLS}))
def test_a_rule_gives_a_cell_or_says_why_not(rule: Rule, cells: dict[str, Cell]) -> None:
    """Whatever stands in a row, and however rules are put together: nothing else is raised, and a default is kept."""
    with suppress(CellError):
        assert not (is_blank(read(rule, **cells)) and rule.default == "d")


@given(st.text(max_size=30))
def test_a_form_of_dates_means_what_it_says(form: str) -> None:
    """Letters that are none of ours stand for themselves: there is no way into what else a clock can show."""
    made = strptime_form(form)
    assert set(re.findall("%(.)", made, re.DOTALL)) <= set("YymdHMSz%")


# --- plans ----------------------------------------------------------------------------------------


def renamed(sheet: SheetType) -> tuple[Plan, list[str]]:
    """Return a plan for a table that calls every column `x0`, `x1` …, and its header."""
    header = [f"x{place}" for place in range(len(sheet.columns))]
    named = zip(sheet.columns, header, strict=True)
    return Plan(sheet, {column.key: Rule(columns=(name,)) for column, name in named}), header


@pytest.mark.parametrize("sheet", all_sheet_types(), ids=lambda sheet: str(sheet.name))
def test_renaming_every_column_changes_nothing(sheet: SheetType) -> None:
    """What our own titles give, rules give, too: for every example of every type."""
    plan, header = renamed(sheet)
    layout = lay_out(plan, header)
    for data in example_things(sheet):
        mapped = map_row(layout, Row(2, show_row(sheet, data)))
        assert (mapped.faults, mapped.data) == ((), data)


def test_every_field_has_a_name_of_its_own() -> None:
    """By which a connector file asks for it; no name is the beginning of another."""
    for sheet in all_sheet_types():
        keys = [column.key for column in sheet.columns]
        assert len(keys) == len(set(keys))
        assert not [key for key in keys for other in keys if other.startswith(f"{key}.")]


def test_a_plan_that_would_lose_what_is_required_says_so() -> None:
    """A field without a rule; not so one of which another may stand in its place, or that fills itself."""
    plan, _ = renamed(JOB_ORDERS)
    fields = dict(plan.fields or {})
    assert unprovided(plan) == []
    for key in ("title", "consultant.phone", "company.cvr"):
        del fields[key]
    fields.pop("registeredAt")
    assert [column.key for column in unprovided(Plan(JOB_ORDERS, fields))] == ["title", "consultant.phone"]
    for key in ("company.foreignId.country", "company.foreignId.id"):
        del fields[key]
    assert "company.cvr" in [column.key for column in unprovided(Plan(JOB_ORDERS, fields))]


def mapped(plan: Plan, header: list[str], cells: Mapping[str, Cell]) -> tuple[Layout, Row, Mapped]:
    """Map a row of the cells by their names."""
    layout = lay_out(plan, header)
    row = Row(2, tuple(cells.get(name) for name in header))
    return layout, row, map_row(layout, row)


def contact_plan(**changes: Rule) -> tuple[Plan, dict[str, Cell]]:
    """Return a plan for contacts whose scope is a constant, and a row for it."""
    contact = sheet_type(EventName.COMPANY_CONTACT)
    fields = {
        "contactId": "id", "occurredAt": "tid", "company.name": "navn", "company.cvr": "cvr", "channel": "kanal",
        "initiatedBy": "af", "purposes": "formål", "consultant.name": "kn", "consultant.unit": "ku",
        "consultant.phone": "kt",
    }  # fmt: skip
    rules = {key: Rule(columns=(name,)) for key, name in fields.items()}
    rules |= {"sharing.scope": Rule(value="alliances")} | {key.replace("_", "."): rule for key, rule in changes.items()}
    row: dict[str, Cell] = {
        "id": "77", "tid": "20-11-2026 09:15", "navn": "Vestjysk Staldinventar A/S", "cvr": "93100018",
        "kanal": "Telefon", "af": "Os", "formål": "Rekruttering", "kn": "Jens Ove Ramskov", "ku": "Jobcenter Struer",
        "kt": "+45 00 00 11 04", "deles": None,
    }  # fmt: skip
    return Plan(contact, rules), row


@pytest.mark.parametrize(
    ("purpose", "rule", "cell", "scope"),
    [
        ("Rekruttering", Rule(value="alliances"), None, "alliances"),
        ("Fastholdelse", Rule(value="alliances"), None, "own"),
        ("Rekruttering; Opfølgning på forløb", Rule(value="national"), None, "own"),
        ("Fastholdelse", Rule(columns=("deles",), default="alliances"), None, "own"),
        ("Fastholdelse", Rule(columns=("deles",), default="alliances"), "Vores alliancer", "alliances"),
    ],
)
def test_a_sensitive_contact_is_shared_only_when_its_own_row_says_so(
    purpose: str, rule: Rule, cell: Cell, scope: str
) -> None:
    """It may reveal a citizen's health, and a constant for all rows has not looked at this one."""
    plan, row = contact_plan(sharing_scope=rule)
    _, _, found = mapped(plan, list(row), {**row, "formål": purpose, "deles": cell})
    assert (found.faults, found.data["sharing"]) == ((), {"scope": scope})


def test_rows_can_be_passed_over_or_taken_back() -> None:
    """By what stands in a column."""
    base, row = contact_plan()
    plan = Plan(
        base.sheet, base.fields, only=(Condition("type", frozenset({"kontakt"})),),
        withdrawn=(Condition("slettet", frozenset({"1"})),),
    )  # fmt: skip
    header = [*row, "type", "slettet"]
    layout, kept, found = mapped(plan, header, {**row, "type": "Kontakt", "slettet": 0})
    assert (is_wanted(layout, kept), found.gone) == (True, False)
    layout, kept, found = mapped(plan, header, {**row, "type": "Notat", "slettet": 1})
    assert (is_wanted(layout, kept), found.gone) == (False, True)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (["id", "tid"], "mangler"),
        (["id", "id"], "findes to gange"),
        (["ID ", "Formåll"], "hedder den nu »Formåll«"),
    ],
)
def test_a_table_that_has_changed_is_told_with_what_it_has(header: list[str], told: str) -> None:
    """A column that is gone, is there twice, or has another name now."""
    plan, _ = contact_plan()
    with pytest.raises(SourceError, match=told):
        lay_out(plan, header)


def test_columns_that_nobody_asked_for_are_named_and_never_sent() -> None:
    """A citizen's number has no field: it stays where it is."""
    plan, row = contact_plan()
    layout, _, found = mapped(plan, [*row, "CPR", "Intern note"], {**row, "CPR": "010180-1234", "Intern note": "svær"})
    assert "»CPR«, »Intern note«" in layout.notices[0]
    assert "010180" not in str(found.data)


def sent_values(data: Any) -> set[str]:
    """Return every value in an event's data, as text."""
    if isinstance(data, dict):
        return {text for value in data.values() for text in sent_values(value)}
    if isinstance(data, list):
        return {text for value in data for text in sent_values(value)}
    return {str(data)}


@given(st.lists(st.sampled_from([column.key for column in JOB_ORDERS.columns]), unique=True, min_size=1))
def test_nothing_leaves_but_what_a_rule_asks_for(keys: list[str]) -> None:
    """Of a row that holds everything, just the fields that the plan names."""
    plan, header = renamed(JOB_ORDERS)
    some = Plan(JOB_ORDERS, {key: (plan.fields or {})[key] for key in keys})
    data = example_things(JOB_ORDERS)[0]
    row = Row(2, show_row(JOB_ORDERS, data))
    whole, part = map_row(lay_out(plan, header), row).data, map_row(lay_out(some, header), row).data
    asked = {tuple(column.path) for column in JOB_ORDERS.columns if column.key in keys}
    assert sent_values(part) <= sent_values(whole)
    for column in JOB_ORDERS.columns:
        if column.path not in asked and column.when_blank is None:
            value: Any = part
            for step in column.path:
                value = value.get(step) if isinstance(value, dict) else None
            assert value is None, column.key
