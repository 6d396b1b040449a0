"""The whole way of a job order: from a spreadsheet in Struer to its partners in Vestalliancen, on both logs.

Real processes only: the gateway as an operator runs it, the commands as people type them, HTTP as systems speak it.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from openpyxl import Workbook, load_workbook

from tests.processes import Served, bearer, run, serving

STRUER, HERNING, AALBORG, BORNHOLM = "0671", "0657", "0851", "0400"
VESTALLIANCEN = ("0657", "0661", "0665", "0671", "0756", "0760", "0779", "0791")
PARTNERS = tuple(member for member in VESTALLIANCEN if member != STRUER)
ARRIVES_S_MAX = 20.0

ROW: dict[str, Any] = {
    "Id": None, "Status": "Åben", "Virksomhed": "Vestjysk Staldinventar A/S", "CVR-nummer": "93100018",
    "P-nummer": "1999000011", "Titel": "3 klejnsmede/svejsere til staldinventar", "Stilling": "Klejnsmed",
    "Antal stillinger": 3, "Ansættelsestyper": "Ordinært job", "Timer om ugen, mindst": "37,5",
    "Arbejdsstedets kommune": "Struer", "Beskrivelse": "Vi bygger inventar til kostalde.",
    "Ansøgning": "Gennem jobcentret", "Kontaktperson": "Poul Erik Toftdahl",
    "Kontaktpersonens telefon": "+45 00 00 22 01", "Konsulent": "Jens Ove Ramskov",
    "Konsulentens enhed": "Jobcenter Struer", "Konsulentens telefon": "+45 00 00 11 04",
    "Virksomhedens samtykke til deling": "Med navn", "Deles med": "Vores alliancer", "Registreret": None,
}  # fmt: skip
KEPT = ROW | {"Titel": "Fortrolig stilling", "Virksomhedens samtykke til deling": "Må ikke deles"}


@dataclass
class Story:
    """What happened, step by step, as each of them saw it."""

    served: Served
    sheet: Path
    order_id: str = ""
    kept_id: str = ""
    seen: dict[str, httpx.Response] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    seen_when_filled: dict[str, httpx.Response] = field(default_factory=dict)
    published: list[dict[str, Any]] = field(default_factory=list)
    response: httpx.Response | None = None
    replayed: list[dict[str, Any]] = field(default_factory=list)
    forwarding: list[dict[str, Any]] = field(default_factory=list)
    stopped_replay: "subprocess.CompletedProcess[str] | None" = None
    headers: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    def bearer(self, participant: str, role: str) -> dict[str, str]:
        key = (participant, role)
        if key not in self.headers:
            self.headers[key] = bearer(self.served.data, participant, role)
        return self.headers[key]

    def command(self, *arguments: str | Path) -> str:
        done = run(*arguments, "--to", self.served.url, "--data", self.served.data)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def publish_sheet(self) -> None:
        state = self.sheet.parent / "state"
        self.published.append(
            json.loads(self.command("publish", self.sheet, "--participant", STRUER, "--state", state, "--json"))
        )

    def change(self, **cells: Any) -> None:
        """Change cells in the first row, as somebody does in Excel."""
        book = load_workbook(self.sheet)
        titles = [cell.value for cell in book["Jobordrer"][1]]
        for title, value in cells.items():
            book["Jobordrer"].cell(2, titles.index(title) + 1).value = value
        book.save(self.sheet)

    def ids(self) -> list[str]:
        page = load_workbook(self.sheet)["Jobordrer"]
        return [page.cell(row, 1).value for row in (2, 3)]

    def look(self, participant: str, status: str | None = None) -> httpx.Response:
        """Ask for the order as a reader of a participant; with `status`, until it has that or time is up."""
        headers, deadline = self.bearer(participant, "reader"), time.monotonic() + ARRIVES_S_MAX
        while True:
            answer = httpx.get(f"{self.served.url}/v1/job-orders/{self.order_id}", headers=headers, timeout=30)
            there = answer.status_code == 200 and answer.json()["status"] == status
            if status is None or there or time.monotonic() > deadline:
                return answer
            time.sleep(0.1)

    def list(self, participant: str) -> list[str]:
        headers = self.bearer(participant, "reader")
        answer = httpx.get(f"{self.served.url}/v1/job-orders", headers=headers, timeout=30)
        return [order["jobOrderId"] for order in answer.json()["jobOrders"]]


def write_sheet(path: Path, *rows: dict[str, Any]) -> None:
    book = Workbook()
    page = book.worksheets[0]
    page.title = "Jobordrer"
    page.append(list(ROW))
    for row in rows:
        page.append(list(row.values()))
    book.save(path)


def answer_order(story: Story) -> httpx.Response:
    """Herning tells Struer that it has candidates."""
    event = {
        "specversion": "1.0", "id": "svar-1", "source": f"urn:kommunebro:{HERNING}:opera",
        "type": "dk.kommunebro.job-order-response", "subject": "SV-1",
        "time": (datetime.now(UTC) - timedelta(seconds=1)).isoformat(),
        "dataschema": "urn:kommunebro:schema:job-order-response:1.0",
        "data": {
            "responseId": "SV-1", "jobOrderOwner": STRUER, "jobOrderId": story.order_id, "via": ["vestalliancen"],
            "kind": "candidates", "candidateCount": 2,
            "consultant": {"name": "Birgitte Hald Skou", "unit": "Jobcenter Herning", "phone": "+45 00 00 11 01"},
        },
    }  # fmt: skip
    headers = story.bearer(HERNING, "publisher") | {"Content-Type": "application/cloudevents+json"}
    return httpx.post(f"{story.served.url}/v1/events", json=event, headers=headers, timeout=30)


def replay(story: Story, *filters: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in story.command("replay", *filters).splitlines()]


def wait_for_response(story: Story) -> None:
    deadline = time.monotonic() + ARRIVES_S_MAX
    while not replay(story, "--topic", "alliance.vestalliancen.job-order-response"):
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module", params=["embedded", "kafka"])
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Play the story to its end."""
    folder = tmp_path_factory.mktemp("journey")
    arguments: tuple[str, ...] = ()
    if request.param == "kafka":
        (folder / "config.toml").write_text('kafka = {prefix = "journey."}\n')
        arguments = ("--kafka", request.getfixturevalue("kafka_bootstrap"), "--config", str(folder / "config.toml"))
    with serving(folder / "data", *arguments) as served:
        story = Story(served, folder / "jobordrer.xlsx")
        story.command("alliances", "load")
        write_sheet(story.sheet, ROW, KEPT)
        story.publish_sheet()
        story.order_id, story.kept_id = story.ids()
        story.seen = {who: story.look(who, "open") for who in (*VESTALLIANCEN,)}
        story.seen |= {who: story.look(who) for who in (AALBORG, BORNHOLM)}
        story.lists = {who: story.list(who) for who in (*VESTALLIANCEN, AALBORG, BORNHOLM)}
        story.response = answer_order(story)
        wait_for_response(story)
        story.publish_sheet()
        story.change(Status="Besat")
        story.publish_sheet()
        story.seen_when_filled = {who: story.look(who, "filled") for who in VESTALLIANCEN}
        story.replayed = replay(story)
        story.forwarding = replay(story, "--topic", "audit.forwarding")
        served.stop()
        story.stopped_replay = run("replay", "--data", served.data)
        yield story


def of(story: Story, topic: str, subject: str | None = None) -> list[dict[str, Any]]:
    return [
        record["event"]
        for record in story.replayed
        if record["topic"] == topic and (subject is None or record["event"]["subject"] == subject)
    ]


def test_the_sheet_gets_its_ids(story: Story) -> None:
    """Publishing fills the blank ids in, and both rows are taken."""
    assert story.order_id
    assert story.kept_id
    assert story.order_id != story.kept_id
    assert story.published[0]["accepted"] == 2


@pytest.mark.parametrize("partner", PARTNERS)
def test_each_partner_sees_it(story: Story, partner: str) -> None:
    """Each of the seven other members reads the order, told whose it is and where it was shared."""
    order = story.seen[partner].json()
    assert (order["owner"], order["status"], order["alliances"]) == (STRUER, "open", ["vestalliancen"])
    assert order["data"]["company"]["name"] == "Vestjysk Staldinventar A/S"
    assert order["data"]["consultant"]["phone"] == "+45 00 00 11 04"


@pytest.mark.parametrize("partner", PARTNERS)
def test_no_partner_sees_more_than_agreed(story: Story, partner: str) -> None:
    """The contact person, the sharing and the time of consent stay in Struer; decimals came over as numbers."""
    data = story.seen[partner].json()["data"]
    assert data.keys().isdisjoint({"contactPerson", "sharing", "agreedAt"})
    assert "Toftdahl" not in story.seen[partner].text
    assert data["hoursPerWeek"] == {"min": 37.5, "max": 37.5}


def test_its_owner_sees_all_of_it(story: Story) -> None:
    """Struer reads its own order whole."""
    assert story.seen[STRUER].json()["data"]["contactPerson"]["name"] == "Poul Erik Toftdahl"
    assert story.kept_id in story.lists[STRUER]


@pytest.mark.parametrize("outsider", [AALBORG, BORNHOLM])
def test_nobody_else_sees_it(story: Story, outsider: str) -> None:
    """To another alliance, and to a municipality in none, the order does not exist."""
    assert story.seen[outsider].status_code == 404
    assert story.seen[outsider].headers["content-type"] == "application/problem+json"
    assert story.lists[outsider] == []


@pytest.mark.parametrize("partner", PARTNERS)
def test_what_the_employer_did_not_agree_to_stays(story: Story, partner: str) -> None:
    """The order that must not be shared is in nobody's list but Struer's."""
    assert story.lists[partner] == [story.order_id]


def test_the_answer_reaches_the_alliance(story: Story) -> None:
    """Herning's response is durable, and is shared where Herning saw the order."""
    assert story.response is not None
    assert story.response.status_code == 201
    (shared,) = of(story, "alliance.vestalliancen.job-order-response")
    assert (shared["owner"], shared["data"]["candidateCount"]) == (HERNING, 2)


def test_nothing_is_sent_twice(story: Story) -> None:
    """A second run over the same sheet sends nothing; the changed row is sent alone."""
    assert [report["accepted"] for report in story.published] == [2, 0, 1]
    assert len(of(story, f"pub.{STRUER}.job-order", story.order_id)) == 2


@pytest.mark.parametrize("partner", PARTNERS)
def test_a_filled_order_is_taken_back(story: Story, partner: str) -> None:
    """When the order is filled, its partners keep its id and its status, and nothing else."""
    assert story.seen_when_filled[partner].json()["data"] == {"jobOrderId": story.order_id, "status": "filled"}


def test_an_auditor_sees_how_it_got_there(story: Story) -> None:
    """The replay has both states as published, both as shared, each with the agreement that shared it."""
    published = of(story, f"pub.{STRUER}.job-order", story.order_id)
    shared = of(story, "alliance.vestalliancen.job-order")
    assert [event["id"] for event in shared] == [event["id"] for event in published]
    assert {event["agreementversion"] for event in shared} == {1}
    assert {event["dataschema"] for event in shared} == {"urn:kommunebro:schema:job-order-shared:1.0"}
    assert "contactPerson" in published[0]["data"]


def test_the_forwarders_record_says_why_not(story: Story) -> None:
    """`audit.forwarding` holds why the other order was withheld."""
    assert "employer-did-not-agree" in json.dumps(story.forwarding)


def test_nothing_else_was_shared(story: Story) -> None:
    """In all alliances together there are two states of the order and one response."""
    shared = [record["topic"] for record in story.replayed if record["topic"].startswith("alliance.")]
    assert sorted(shared) == ["alliance.vestalliancen.job-order"] * 2 + ["alliance.vestalliancen.job-order-response"]


def test_a_stopped_instance_replays_the_same(story: Story, request: pytest.FixtureRequest) -> None:
    """From the folder of the stopped gateway the same records come; where Kafka is the log, that is said."""
    assert story.stopped_replay is not None
    if "kafka" in request.node.callspec.id:
        assert story.stopped_replay.returncode == 3
        assert "Kafka" in story.stopped_replay.stderr
    else:
        assert [json.loads(line) for line in story.stopped_replay.stdout.splitlines()] == story.replayed
