"""A shared order in others' shapes and as a row, whatever an agreement leaves of it."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from municipality_connectors.delivering import sinks
from municipality_connectors.delivering.shapes import dfdg_order, job_posting
from municipality_connectors.mapping.rows import show_row
from municipality_connectors.mapping.sheet_types import all_sheet_types, sheet_type
from municipality_connectors.sheets.make_example_sheets import example_things
from schemas.identifiers import EventName

JOB_ORDERS = sheet_type(EventName.JOB_ORDER)


def shared(data: dict[str, Any]) -> dict[str, Any]:
    """Return an event as it is shared."""
    return {"owner": "0671", "subject": data["jobOrderId"], "alliance": "vestalliancen", "data": data}


@pytest.mark.parametrize("data", example_things(JOB_ORDERS), ids=lambda data: data["jobOrderId"])
def test_every_example_has_what_search_engines_ask_for(data: dict[str, Any]) -> None:
    """title, description, datePosted, hiringOrganization, jobLocation: those that they call required."""
    posting = job_posting(shared(data))
    assert {"title", "description", "datePosted", "hiringOrganization", "jobLocation"} <= set(posting)
    assert posting["hiringOrganization"]["name"] == data["company"]["name"]
    assert posting["jobLocation"]["address"]["addressCountry"] == "DK"


def test_an_order_without_its_employers_name_stays_so() -> None:
    """As it comes when the employer is anonymous."""
    data = {
        name: value for name, value in example_things(JOB_ORDERS)[0].items()
        if name not in ("company", "title", "description", "contactPerson")
    }  # fmt: skip
    posting = job_posting(shared(data))
    assert posting["hiringOrganization"] == {"@type": "Organization", "name": "confidential"}
    assert posting["title"] == data["occupation"]["label"]


def test_an_order_known_to_dfdg_keeps_its_guid() -> None:
    """Another has one that is the same each time."""
    data = example_things(JOB_ORDERS)[0]
    known = data | {"externalIds": [{"system": "DFDG", "id": "8de97cdf-3e06-5711-9697-88258007ae13"}]}

    def guid(order: dict[str, Any]) -> Any:
        return dfdg_order(shared(order))["CompanyRecruitmentIdentifier"]

    assert guid(known) == "8de97cdf-3e06-5711-9697-88258007ae13"
    unknown = data | {"externalIds": []}
    assert guid(unknown) == guid(dict(unknown)) != guid(unknown | {"jobOrderId": "JO-1"})


CUT = [name for name in example_things(JOB_ORDERS)[0] if name not in ("jobOrderId", "status")]


@given(st.sets(st.sampled_from(CUT)))
def test_whatever_an_agreement_cuts_a_shape_comes_of_it(cut: set[str]) -> None:
    """Only id and status are sure to be there."""
    data = {name: value for name, value in example_things(JOB_ORDERS)[0].items() if name not in cut}
    assert orjson.dumps(job_posting(shared(data)))
    order = dfdg_order(shared(data))
    assert order["kommunebro"]["status"] == data["status"]
    # Of its states only that of an open order is public; none is made up for the others.
    assert ("CompanyRecruitmentStatusTypeIdentifier" in order) == (data["status"] == "open")
    assert sinks.key_of(shared(data)) == ("0671", data["jobOrderId"], "vestalliancen")


def leaves(value: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Iterate over the pointers of what an agreement can leave out: all but the id and the status."""
    if isinstance(value, list):
        for item in value:
            yield from leaves(item, above)
    elif isinstance(value, dict):
        for name, below in value.items():
            yield from leaves(below, (*above, name))
    if above and above not in (("jobOrderId",), ("status",)):
        yield above


def without(value: Any, cut: set[tuple[str, ...]], above: tuple[str, ...] = ()) -> Any:
    """Return data as it is shared: through a list to each of its items."""
    if isinstance(value, list):
        return [without(item, cut, above) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: without(below, cut, (*above, name)) for name, below in value.items() if (*above, name) not in cut}


@given(st.data())
def test_whatever_leaves_an_agreement_cuts_all_shapes_and_rows_come_of_it(data: st.DataObject) -> None:
    """A company's CVR without its name, the least hours without the most: each as it is shared."""
    sheet = data.draw(st.sampled_from(all_sheet_types()))
    thing = data.draw(st.sampled_from(example_things(sheet)))
    cut = without(thing, data.draw(st.sets(st.sampled_from(sorted(set(leaves(thing)))))))
    assert len(show_row(sheet, cut)) == len(sheet.columns)
    if sheet is JOB_ORDERS:
        event = shared(cut)
        assert orjson.dumps([job_posting(event), dfdg_order(event)])


@pytest.mark.parametrize(("hours", "shown"), [({"min": 20}, "20 timer/uge"), ({"max": 37}, "37 timer/uge"), ({}, None)])
def test_half_of_the_hours_is_shown_as_it_is(hours: dict[str, int], shown: str | None) -> None:
    """An agreement may share one of the two."""
    data = {"jobOrderId": "JO-1", "status": "open", "hoursPerWeek": hours}
    assert job_posting(shared(data)).get("workHours") == shown


def test_a_company_without_its_name_keeps_its_number() -> None:
    """And is called what schema.org's readers know."""
    data = {"jobOrderId": "JO-1", "status": "open", "company": {"cvr": "12345678"}}
    organization = job_posting(shared(data))["hiringOrganization"]
    assert organization == {"@type": "Organization", "name": "confidential", "taxID": "12345678"}


def test_a_code_of_a_newer_schema_is_shown_as_it_is() -> None:
    """A partner may know a minor version that this connector does not."""
    data = example_things(JOB_ORDERS)[0] | {"status": "dormant", "employmentTypes": ["ordinary", "island-job"]}
    row = show_row(JOB_ORDERS, data)
    assert "dormant" in row
    assert any(str(cell).endswith("; island-job") for cell in row)
    assert orjson.dumps([job_posting(shared(data)), dfdg_order(shared(data))])
