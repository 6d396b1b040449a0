"""A list of many pages is read to its end or not at all: what is only half read would take the rest back."""

from typing import Any

import pytest
from starlette.responses import JSONResponse

from municipality_connectors.sources import rest
from tests.connectors.case_system import CaseSystem
from tests.connectors.conftest import Desk
from tests.connectors.sheets import messages
from tests.connectors.test_rest import FIELDS, ITEMS, case, connected, counts

NUMBERED = 'paging = { page = "side", page-size = "antal", size = 2 }'
NEXT = 'paging = { next = "næste" }'
CURSOR = 'parameters = { trin = "1" }\npaging = { next = "næste", cursor = "fra" }'
WITHDRAW = 'vanished = "withdraw"\nwithdraw-at-most = 1.0'


pytestmark = pytest.mark.usefixtures("at_once")


def page(*cases: dict[str, Any], following: object = None) -> JSONResponse:
    """Return a page as the system answers with it."""
    return JSONResponse({"data": {"sager": list(cases)}, "næste": following})


@pytest.mark.parametrize(
    "later", [JSONResponse({"fejl": "timeout"}), JSONResponse(None), JSONResponse({"data": {"sager": None}})]
)
def test_a_later_page_without_its_items_is_no_end(desk: Desk, system: CaseSystem, later: JSONResponse) -> None:
    """A service that fails with status 200; what stands on the pages behind it is not gone."""
    connected(desk, system, f"{ITEMS}\n{NUMBERED}\n{WITHDRAW}")
    system.cases = [case(number) for number in range(5)]
    assert counts(desk.run()) == (5, 0, 0)
    system.answers = [page(case(0), case(1)), later]
    report = desk.run()
    assert (report.withdrawn, report.exit_status) == (0, 1)
    assert "Side 2 af listen har ingenting på »data.sager«" in messages(report)
    assert counts(desk.run()) == (0, 5, 0)


def test_an_answer_of_nothing_is_no_empty_list(desk: Desk, system: CaseSystem) -> None:
    """Where the answer itself is the list."""
    connected(desk, system, WITHDRAW, path="/links")
    system.cases = [case(0)]
    desk.run()
    system.cases = []
    system.links = [JSONResponse(None)]
    report = desk.run()
    assert (report.withdrawn, report.exit_status, "Side 1 af listen er tom" in messages(report)) == (0, 1, True)
    # A list that is suddenly empty was more likely cut off: a person has to say that it is so.
    assert desk.run().withdrawn == 0
    assert desk.run(withdraw_all=True).withdrawn == 1


def test_an_empty_page_that_names_a_next_one_is_no_end(desk: Desk, system: CaseSystem) -> None:
    """A service that filters what it has paged sends such; what stands behind it is not gone."""
    connected(desk, system, f"{ITEMS}\n{NEXT}")
    system.answers = [
        page(case(0), following="/api/sager?n=1"), page(following="/api/sager?n=2"), page(case(1)),
    ]  # fmt: skip
    assert counts(desk.run()) == (2, 0, 0)
    assert len(system.asked) == 3


@pytest.mark.parametrize("paging", [NEXT, CURSOR])
def test_an_empty_page_that_names_itself_is_the_end(desk: Desk, system: CaseSystem, paging: str) -> None:
    """As of a service whose last page says where to ask for what comes later."""
    connected(desk, system, f"{ITEMS}\n{paging}")
    system.answers = [page(case(0), following="/api/sager?n=1"), page(following="/api/sager?n=1")]
    report = desk.run()
    assert (counts(report), report.exit_status, len(system.asked)) == ((1, 0, 0), 0, 2)


def test_empty_pages_without_end_are_told_and_take_nothing_back(desk: Desk, system: CaseSystem) -> None:
    """After some it is enough; what stood before them is published, and what may stand behind them is not gone."""
    connected(desk, system, f"{ITEMS}\n{NEXT}\n{WITHDRAW}")
    system.cases = [case(0), case(1)]
    assert counts(desk.run()) == (2, 0, 0)
    system.asked = []
    system.answers = [page(case(0, "B"), following="/api/sager?n=0")]
    system.answers += [page(following=f"/api/sager?n={number}") for number in range(1, 100)]
    report = desk.run()
    assert (report.accepted, report.withdrawn, report.exit_status) == (1, 0, 1)
    assert "sider var tomme, men listen henviste til endnu en" in messages(report)
    assert len(system.asked) == 1 + rest.EMPTY_PAGES_MAX + 1


@pytest.mark.parametrize(
    ("name", "told"),
    [("PAGES_MAX", "over 2 sider"), ("ITEMS_MAX", "over 2 poster"), ("LIST_BYTES_MAX", "Listen fylder over")],
)
def test_a_list_that_is_too_long_is_not_taken_for_whole(
    desk: Desk, system: CaseSystem, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    """And no more of it is asked for than is needed to see that."""
    connected(desk, system, f"{ITEMS}\n{NUMBERED}\n{WITHDRAW}")
    system.cases = [case(number) for number in range(9)]
    desk.run()
    monkeypatch.setattr(rest, name, 2)
    system.asked = []
    report = desk.run()
    assert (report.withdrawn, report.exit_status, told in messages(report)) == (0, 1, True)
    assert len(system.asked) <= 2


@pytest.mark.parametrize(
    ("paging", "following"),
    [(NEXT, "/api/sager"), (NEXT, "/api/sager?n=1"), (CURSOR, "1")],
    ids=["the first", "itself", "cursor"],
)
def test_a_page_that_was_seen_is_not_followed(desk: Desk, system: CaseSystem, paging: str, following: str) -> None:
    """A service that goes round in a circle would be asked for ever."""
    connected(desk, system, f"{ITEMS}\n{paging}")
    system.answers = [page(case(number), following=following) for number in range(20)]
    report = desk.run()
    assert (report.accepted, report.exit_status) == (0, 1)
    assert "henviser til en side, som vi har læst" in messages(report)
    assert len(system.asked) <= 2


def test_a_list_that_is_as_it_was_can_be_read_all_the_same(desk: Desk, system: CaseSystem) -> None:
    """Where something may be gone from it that was not taken back yet."""
    connected(desk, system, f'{ITEMS}\nvanished = "withdraw"\nwithdraw-at-most = 0.1')
    system.cases = [case(number) for number in range(3)]
    desk.run()
    system.cases = system.cases[:1]
    assert "kør én gang med --withdraw" in messages(desk.run())
    assert "kør én gang med --withdraw" in messages(desk.run())
    assert desk.run(withdraw_all=True).withdrawn == 2
    assert counts(desk.run()) == (0, 1, 0)


def test_a_path_keeps_its_query_when_parameters_come_to_it(desk: Desk, system: CaseSystem) -> None:
    """Without it a list of all that is open would be one of all there is."""
    connected(desk, system, f"{ITEMS}\n{NUMBERED}", path="/sager?tilstand=aktiv&antal=9")
    system.cases = [case(number) for number in range(3)]
    assert counts(desk.run()) == (3, 0, 0)
    assert [(asked["tilstand"], asked["side"], asked["antal"]) for asked in system.asked] == [
        ("aktiv", "1", "2"), ("aktiv", "2", "2"),
    ]  # fmt: skip


def test_what_was_refused_of_a_list_is_counted_once_though_two_read_it(desk: Desk, system: CaseSystem) -> None:
    """Each of the two descriptions is dismissed by the list's `ETag`."""
    both = [
        f'{ITEMS}\nchanged = "opdateret"\nonly = {{ column = "nr", is = {number} }}\n{FIELDS}' for number in (1, 2)
    ]  # fmt: skip
    connected(desk, system, "")
    path = desk.folder / "ordrer.toml"
    head = path.read_text("utf-8").partition("[[publish]]")[0]
    path.write_text(head + "".join(f'[[publish]]\npath = "/sager"\n{one}\n' for one in both), "utf-8")
    system.cases = [case(1, at="2036-11-20T08:00:00Z"), case(2)]
    first, second = desk.run(), desk.run()
    assert (first.accepted, first.refused_there, first.set_aside) == (1, 1, 1)
    assert (second.unchanged, second.still_refused, second.set_aside) == (1, 1, 1)
