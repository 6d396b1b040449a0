"""From rows to events and back."""

# ruff: noqa: DTZ001  # Excel's cells have no time zone

import json
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from municipality_connectors.mapping.cells import Choice, Identifier, Integer, ListOf, Moment, Number, Text, YesNo
from municipality_connectors.mapping.checking import check_row
from municipality_connectors.mapping.codes import (
    Alliance,
    CodeWithSystem,
    Digits,
    Expectations,
    ExternalId,
    Municipality,
    ParticipantId,
)
from municipality_connectors.mapping.plan import Plan, fitting_sheet, lay_out
from municipality_connectors.mapping.rows import RowMapper, column_at, map_row, show_row
from municipality_connectors.mapping.sheet_types import (
    CHANGED_TITLE,
    Column,
    Fill,
    SheetType,
    all_sheet_types,
    sheet_type,
)
from municipality_connectors.sheets.make_example_sheets import example_things
from municipality_connectors.tables import BadCell, Cell, Row, SourceError
from schemas.identifiers import EventName
from schemas.registry import Registry
from tests.connectors.sheets import JOB_ORDERS, header_and_rows, orders

EXAMPLES = [
    (path.parent.parent.parent.name, path)
    for path in sorted((Path(__file__).parents[2] / "schemas").glob("*/examples/1.0/*.json"))
]
TOKENS = st.text("abcæøåABC.,/()!?=+-@'\"", min_size=1, max_size=6)
WORDS = st.lists(TOKENS, min_size=1, max_size=3).map(" ".join)
DAYS = st.dates(date(1950, 1, 1), date(2090, 1, 1)).map(lambda day: day.isoformat())
CLOCKS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1))
REGISTRY = Registry.load()


def moments(kind: Moment) -> st.SearchStrategy[str]:
    clock = CLOCKS.map(lambda moment: moment.replace(microsecond=0).isoformat() + "Z")
    return st.one_of(*[DAYS] * kind._day, *[clock] * kind._clock)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values that a column of this kind can hold."""
    if isinstance(kind, Expectations):
        answer = st.fixed_dictionaries(
            {
                "occupation": st.fixed_dictionaries({"label": WORDS}),
                "horizonMonths": st.just(kind._months),
                "direction": st.sampled_from(["increase", "unchanged", "decrease", "unknown"]),
            },
            optional={"positions": st.integers(0, 99)},
        )
        return st.lists(answer, min_size=1, max_size=3, unique_by=lambda value: json.dumps(value, sort_keys=True))
    if isinstance(kind, ListOf):
        return st.lists(
            values(kind.item), min_size=1, max_size=3, unique_by=lambda value: json.dumps(value, sort_keys=True)
        )
    if isinstance(kind, CodeWithSystem):
        code = st.from_regex(r"[0-9]{6}", fullmatch=True)
        return st.fixed_dictionaries({"system": st.sampled_from(sorted(set(kind._systems.values()))), "code": code})
    simple: list[tuple[type, st.SearchStrategy[Any]]] = [
        (Identifier, st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)),
        (ParticipantId, st.sampled_from(["0671", "0657", "erhvervshus-midtjylland"])),
        (Municipality, st.sampled_from(["0101", "0671", "0760", "0851"])),
        (Digits, st.from_regex(rf"[0-9]{{{getattr(kind, '_count', 1)}}}", fullmatch=True)),
        (Alliance, st.from_regex(r"[a-z0-9]{1,8}(-[a-z]{1,5})?", fullmatch=True)),
        (ExternalId, st.fixed_dictionaries({"system": st.just("DFDG"), "id": WORDS})),
        (Integer, st.integers(0, 9999)),
        (Number, st.integers(0, 5000).map(lambda number: number / 10).map(lambda n: int(n) if n.is_integer() else n)),
        (YesNo, st.booleans()),
        (Choice, st.sampled_from(sorted(getattr(kind, "_labels", {"": ""})))),
        (Moment, moments(kind) if isinstance(kind, Moment) else st.none()),
        (Text, WORDS),
    ]
    return next(strategy for of, strategy in simple if isinstance(kind, of))


@cache
def things(name: EventName) -> st.SearchStrategy[dict[str, Any]]:
    """Any `data` that a sheet can say: everything required, and some of the rest."""

    def built(drawn: list[tuple[Column, Any]]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for column, value in drawn:
            *parents, leaf = column.path
            place = data
            for step in parents:
                place = place.setdefault(step, {})
            place[leaf] = place.get(leaf, []) + value if column.pointer.endswith("/-") else value
        return data

    chosen = [
        st.tuples(st.just(column), values(column.kind)).map(lambda pair: [pair])
        if column.required or column.pointer.split("/")[1] in ("followUp", "hoursPerWeek")
        else st.one_of(st.just([]), st.tuples(st.just(column), values(column.kind)).map(lambda pair: [pair]))
        for column in sheet_type(name).columns
    ]
    return st.tuples(*chosen).map(lambda parts: built([pair for part in parts for pair in part]))


def same_instants(value: Any) -> Any:
    """Times in one spelling, so that equal instants are equal."""
    if isinstance(value, dict):
        return {key: same_instants(item) for key, item in value.items()}
    if isinstance(value, str) and "T" in value[:12] and value[:4].isdigit():
        return datetime.fromisoformat(value).astimezone(UTC)
    return value


def read(sheet: SheetType, cells: tuple[Cell, ...]) -> Any:
    return map_row(lay_out(Plan(sheet), [column.title for column in sheet.columns]), Row(2, cells))


@pytest.mark.parametrize("name", list(EventName))
@settings(max_examples=60)
@given(st.data())
def test_what_a_thing_says_survives_the_way_into_a_sheet_and_back(name: EventName, data: st.DataObject) -> None:
    """Whatever a sheet can hold: shown as cells and read again it is the same data."""
    sheet = sheet_type(name)
    thing = data.draw(things(name))
    mapped = read(sheet, show_row(sheet, thing))
    assert mapped.faults == ()
    assert same_instants(mapped.data) == same_instants(thing)


@pytest.mark.parametrize(("name", "path"), EXAMPLES, ids=lambda value: getattr(value, "stem", value))
def test_every_example_of_the_dataset_fits_into_a_sheet(name: str, path: Path) -> None:
    """What the dataset's own examples say, a municipality without a system can say, too."""
    sheet, thing = sheet_type(EventName(name)), json.loads(path.read_text("utf-8"))["data"]
    mapped = read(sheet, show_row(sheet, thing))
    assert mapped.faults == ()
    assert same_instants(mapped.data) == same_instants(thing)
    assert check_row(REGISTRY, "0671", sheet, mapped.data) == []


@pytest.mark.parametrize("sheet", all_sheet_types(), ids=lambda sheet: sheet.worksheet)
def test_titles_are_unique_and_every_column_has_words(sheet: SheetType) -> None:
    """A title names one column; each column says how to fill it in or needs no words."""
    titles = [column.title for column in sheet.columns]
    assert len(set(map(str.casefold, titles))) == len(titles)
    assert sheet.columns[0].title == "Id"
    assert all(column.title for column in sheet.columns)


@settings(max_examples=40)
@given(st.randoms(use_true_random=False))
def test_columns_may_stand_in_any_order(random: Any) -> None:
    """Titles are found by name, whatever their order, case and spaces."""
    header, [row] = header_and_rows(JOB_ORDERS, orders(1))
    order = list(range(len(header)))
    random.shuffle(order)
    shuffled = [f"  {header[place].upper()} *" for place in order]
    mapped = map_row(lay_out(Plan(JOB_ORDERS), shuffled), Row(2, tuple(row[place] for place in order)))
    assert mapped.data == orders(1)[0]


def test_a_column_of_ones_own_is_dropped_and_named() -> None:
    """Internal notes have no field: they never leave, and the owner hears it."""
    header, [row] = header_and_rows(JOB_ORDERS, orders(1))
    layout = lay_out(Plan(JOB_ORDERS), [*header, "Interne noter"])
    mapped = map_row(layout, Row(2, (*row, "Chefen er svær at få fat i")))
    assert "»Interne noter«" in layout.notices[0]
    assert "svær" not in json.dumps(mapped.data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda titles: [title for title in titles if title != "CVR-nummer"], None),
        (lambda titles: [title for title in titles if title != "Titel"], "Kolonnen »Titel« mangler."),
        (lambda titles: ["Beskrivelsen" if title == "Beskrivelse" else title for title in titles], "»Beskrivelse«"),
        (lambda titles: [*titles, "Titel"], "findes to gange"),
        (lambda titles: ["Uge 47"] * 3, "Række 1 har ingen"),
        (lambda titles: [], "Række 1 har ingen"),
        (lambda titles: [title for title in titles if title != "Id"], "Kolonnen »Id« mangler."),
    ],
)
def test_a_changed_header_stops_the_sheet_with_a_reason(change: Any, words: str | None) -> None:
    """Without a required column, or with a misspelt one, no row can be trusted; optional ones may be left out."""
    titles = change([column.title for column in JOB_ORDERS.columns])
    if words is None:
        lay_out(Plan(JOB_ORDERS), titles)
        return
    with pytest.raises(SourceError) as raised:
        lay_out(Plan(JOB_ORDERS), titles)
    assert words in raised.value.message
    assert (raised.value.problem, raised.value.row) == ("changed-header", 1)


def test_all_that_is_wrong_with_a_row_is_told_at_once() -> None:
    """A row with three faults has three messages, each with its column."""
    header, [row] = header_and_rows(JOB_ORDERS, orders(1))
    for title, cell in (("Status", "Klar"), ("Titel", None), ("Antal stillinger", BadCell("Formelfejl."))):
        row[header.index(title)] = cell
    faults = map_row(lay_out(Plan(JOB_ORDERS), header), Row(2, tuple(row))).faults
    assert {fault.title for fault in faults} == {"Status", "Titel", "Antal stillinger"}
    assert next(fault.message for fault in faults if fault.title == "Titel").startswith("»Titel« skal udfyldes.")


def test_an_id_that_is_a_formula_is_refused() -> None:
    """It would change when the sheet is sorted, and then be another thing."""
    header, [row] = header_and_rows(JOB_ORDERS, orders(1))
    [fault] = map_row(lay_out(Plan(JOB_ORDERS), header), Row(2, tuple(row), frozenset({0}))).faults
    assert (fault.title, "formel" in fault.message) == ("Id", True)


def test_blank_cells_that_fill_themselves_are_missing_not_wrong() -> None:
    """Id and time of registration are written by `publish`."""
    header, [row] = header_and_rows(JOB_ORDERS, orders(1))
    row[0] = row[header.index("Registreret")] = "  "
    mapped = map_row(lay_out(Plan(JOB_ORDERS), header), Row(2, tuple(row)))
    assert mapped.faults == ()
    assert [column.fills for column in mapped.missing] == [Fill.ID, Fill.NOW]


def test_a_foreign_company_needs_no_cvr_number() -> None:
    """One of the two identifies it; with neither the row is refused."""
    header, [row] = header_and_rows(JOB_ORDERS, orders(1))
    row[header.index("CVR-nummer")] = None
    layout = lay_out(Plan(JOB_ORDERS), header)
    assert [fault.title for fault in map_row(layout, Row(2, tuple(row))).faults] == ["CVR-nummer"]
    row[header.index("Udenlandsk virksomhed, land")], row[header.index("Udenlandsk virksomhed, nummer")] = "DE", "HRB 1"
    assert map_row(layout, Row(2, tuple(row))).faults == ()


def test_a_blank_cell_can_have_a_meaning_beside_others() -> None:
    """Hours need be typed once; a follow-up that nobody ticked is not done."""
    contact = sheet_type(EventName.COMPANY_CONTACT)
    header, [row] = header_and_rows(contact, example_things(contact)[:1])
    row[header.index("Opfølgning udført")] = None
    assert map_row(lay_out(Plan(contact), header), Row(2, tuple(row))).data["followUp"]["done"] is False
    header, [row] = header_and_rows(JOB_ORDERS, orders(1))
    row[header.index("Timer om ugen, højst")] = None
    assert map_row(lay_out(Plan(JOB_ORDERS), header), Row(2, tuple(row))).data["hoursPerWeek"] == {"min": 37, "max": 37}


def test_days_counted_from_1904_are_shifted() -> None:
    """Old workbooks from a Mac count days from 1904; a bare number in them is another day."""
    header, [row] = header_and_rows(JOB_ORDERS, orders(1))
    row[header.index("Startdato")] = 46349 - 1462
    assert map_row(lay_out(Plan(JOB_ORDERS), header), Row(2, tuple(row)), 1462).data["startDate"] == "2026-11-23"


def test_the_time_of_change_counts_only_with_a_time_of_day() -> None:
    """A date alone would make two changes of a day simultaneous."""
    header, [row] = header_and_rows(JOB_ORDERS, orders(1))
    layout = lay_out(Plan(JOB_ORDERS), [*header, CHANGED_TITLE])
    assert map_row(layout, Row(2, (*row, "23-11-2026"))).changed is None
    changed = map_row(layout, Row(2, (*row, "23-11-2026 08:05"))).changed
    assert changed is not None
    assert changed.isoformat() == "2026-11-23T08:05:00+01:00"


@pytest.mark.parametrize("sheet", all_sheet_types(), ids=lambda sheet: sheet.worksheet)
def test_a_header_tells_which_sheet_it_is(sheet: SheetType) -> None:
    """A CSV file has no worksheet's name; its titles say it."""
    assert fitting_sheet([column.title for column in sheet.columns]) is sheet
    assert fitting_sheet(["Dato", "Titel"]) is None


def test_a_violation_finds_its_column() -> None:
    """By the pointer, with indices; else the nearest column above or below."""
    found = {
        "/company/cvr": "CVR-nummer",
        "/requirements/3": "Krav",
        "/company/industryCodes/0/code": "Branchekoder",
        "/consultant": "Konsulent",
        "/hoursPerWeek": "Timer om ugen, mindst",
    }
    for pointer, title in found.items():
        column = column_at(JOB_ORDERS, pointer)
        assert column is not None
        assert column.title == title
    assert column_at(JOB_ORDERS, "/nowhere") is None


_ALIKE: list[Cell] = [
    1, 1.0, True, 46_000, 46_000.0, "1", "Ja", "Åben", "46000", datetime(2026, 11, 20, 8, 0), date(2026, 11, 20),
    datetime(2026, 11, 20, 8, 0, tzinfo=UTC), datetime(2026, 11, 20, 9, 0, tzinfo=timezone(timedelta(hours=1))),
]  # fmt: skip


@pytest.mark.parametrize("cells", [_ALIKE, _ALIKE[::-1]], ids=["one way", "the other way"])
@pytest.mark.parametrize("key", ["registeredAt", "startDate", "positions", "title", "status", "startAsap"])
def test_what_was_read_before_changes_nothing(key: str, cells: list[Cell]) -> None:
    """Cells that are equal and mean different things, one after another in one column: each as read alone."""
    header, [row] = header_and_rows(JOB_ORDERS, [example_things(JOB_ORDERS)[0]])
    [place] = [place for place, column in enumerate(JOB_ORDERS.columns) if column.key == key]
    layout = lay_out(Plan(JOB_ORDERS), header)
    mapper = RowMapper(layout)
    for cell in cells:
        read = Row(2, (*row[:place], cell, *row[place + 1 :]))
        assert repr(mapper.map(read)) == repr(map_row(layout, read))
