"""`/v1/connectors`: what connectors tell of themselves, who sees it, and what it comes to."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_gateway.core.connectors import LATE_AFTER_US, connector_state
from schemas.event import format_time
from tests.instances import Instance
from tests.support import a_clock, a_gateway, token

REPORT: dict[str, Any] = {
    "system": "opera", "kind": "sql", "waiting": 0, "refused": 0, "sent": 3, "lastRun": "2026-11-23T08:00:00Z",
    "nextRun": "2026-11-23T08:05:00Z",
}  # fmt: skip


def test_a_participant_sees_its_own_and_an_operator_all(mortal: Instance) -> None:
    """The newest report of each connector, also behind a restart; nobody else's."""
    struer, herning, operator = (
        {"Authorization": f"Bearer {mortal.token(who, role)}"}
        for who, role in (("0671", "publisher"), ("0657", "publisher"), ("drift", "operator"))
    )
    with httpx.Client(base_url=mortal.url, timeout=30) as client:
        for name, report in (("ordrer", REPORT), ("besoeg", REPORT), ("ordrer", REPORT | {"waiting": 7})):
            answer = client.put(f"/v1/connectors/{name}", json=report, headers=struer)
            assert answer.status_code == 204, answer.text
        assert client.put("/v1/connectors/x", json=REPORT, headers=herning).status_code == 204
        listed = client.get("/v1/connectors", headers=struer).json()["connectors"]
        assert [(one["name"], one["waiting"]) for one in listed] == [("besoeg", 0), ("ordrer", 7)]
        assert (listed[1]["participant"], listed[1]["system"], listed[1]["kind"]) == ("0671", "opera", "sql")
    mortal.served.kill()
    mortal.restart()
    with httpx.Client(base_url=mortal.url, timeout=30, headers=operator) as client:
        page = client.get("/v1/connectors?limit=2").json()
        assert [(one["participant"], one["name"]) for one in page["connectors"]] == [("0657", "x"), ("0671", "besoeg")]
        rest = client.get(f"/v1/connectors?after={page['next']}").json()
        assert ([one["name"] for one in rest["connectors"]], rest["next"]) == (["ordrer"], None)
        only = client.get("/v1/connectors?participant=0657")
        assert [one["name"] for one in only.json()["connectors"]] == ["x"]


@pytest.mark.parametrize(
    ("method", "path", "who", "status"),
    [
        ("GET", "/v1/connectors?participant=0657", ("0671", "publisher"), 403),
        ("GET", "/v1/connectors", ("0671", "coordinator"), 403),
        ("PUT", "/v1/connectors/ordrer", ("0671", "coordinator"), 403),
        ("PUT", "/v1/connectors/ordrer?participant=0657", ("0671", "reader"), 403),
        ("PUT", "/v1/connectors/ordrer?participant=0657", ("0671", "publisher"), 403),
        ("PUT", "/v1/connectors/Ordrer", ("0671", "publisher"), 422),
        ("GET", "/v1/connectors?after=x", ("0671", "publisher"), 422),
        ("GET", "/v1/connectors?participant=Struer", ("0671", "publisher"), 422),
        ("GET", "/v1/connectors?unknown=1", ("0671", "publisher"), 422),
    ],
)
async def test_others_see_nothing_and_tell_nothing(
    tmp_path: Path, method: str, path: str, who: tuple[str, str], status: int
) -> None:
    """Each with its problem."""
    async with a_gateway(tmp_path, a_clock()) as (gateway, client):
        body = REPORT if method == "PUT" else None
        answer = await client.request(method, path, json=body, headers=token(gateway, *who))
        assert (answer.status_code, "type" in answer.json()) == (status, True)


@pytest.mark.parametrize(
    "change",
    [
        {"waiting": -1},
        {"waiting": "0"},
        {"lastRun": "i går"},
        {"problem": "Se række 7"},
        {"message": "x"},
        {"system": ""},
    ],
)
async def test_a_report_is_what_it_may_be(tmp_path: Path, change: dict[str, Any]) -> None:
    """A stable name for a problem, and no text of which nobody knows what it holds."""
    async with a_gateway(tmp_path, a_clock()) as (gateway, client):
        answer = await client.put("/v1/connectors/a", json=REPORT | change, headers=token(gateway, "0671", "publisher"))
        assert answer.status_code == 422


async def test_one_who_represents_others_tells_for_them(tmp_path: Path) -> None:
    """A job centre that serves two municipalities has a connector for each."""
    async with a_gateway(tmp_path, a_clock()) as (gateway, client):
        both = token(gateway, "0671", "publisher", represents=("0657",))
        assert (await client.put("/v1/connectors/a?participant=0657", json=REPORT, headers=both)).status_code == 204
        listed: httpx.Response = await client.get("/v1/connectors", headers=both)
        assert [one["participant"] for one in listed.json()["connectors"]] == ["0657"]


NOW_US = 1_795_348_800_000_000


@pytest.mark.parametrize(
    ("change", "late_us", "state"),
    [
        ({}, 0, "well"),
        ({"waiting": 1}, 0, "behind"),
        ({"waiting": 1, "refused": 1}, 0, "refusing"),
        ({"refused": 1, "problem": "database-away"}, 0, "failing"),
        ({"problem": "database-away"}, LATE_AFTER_US + 1, "silent"),
        ({"nextRun": None}, 10 * LATE_AFTER_US, "well"),
        ({}, LATE_AFTER_US, "well"),
    ],
)
def test_the_gravest_is_the_state(change: dict[str, Any], late_us: int, state: str) -> None:
    """One word for whoever looks at a hundred of them."""
    report = REPORT | {"nextRun": format_time(NOW_US), "problem": None} | change
    assert connector_state(report, NOW_US - 1, now_us=NOW_US + late_us) == state


@given(st.integers(0, 3), st.integers(0, 3), st.none() | st.just("x"), st.none() | st.integers(-(10**10), 10**10))
def test_every_report_has_a_state(waiting: int, refused: int, problem: str | None, due_us: int | None) -> None:
    """However its clock goes."""
    due = None if due_us is None else format_time(NOW_US + due_us)
    report = {"waiting": waiting, "refused": refused, "problem": problem, "nextRun": due}
    assert connector_state(report, NOW_US, now_us=NOW_US) in ("well", "behind", "refusing", "failing", "silent")
