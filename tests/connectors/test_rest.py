"""REST services and folders of documents as sources: pages, what changed, limits kept to, and answers that are none."""

import time
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import JSONResponse, Response

from municipality_connectors.connector_file.loading import ConnectorFileWrong, load_connector
from municipality_connectors.mapping.plan import Plan
from municipality_connectors.mapping.sheet_types import sheet_type
from municipality_connectors.report import PublishReport
from municipality_connectors.sources.document_files import parsed
from municipality_connectors.sources.documents import cells_at, compiled, document_table
from municipality_connectors.tables import BadCell, SourceError
from schemas.identifiers import EventName
from tests.connectors.case_system import ELSEWHERE, HTML, SECRET, TOKEN, CaseSystem
from tests.connectors.conftest import ORDER_FIELDS, Desk
from tests.connectors.sheets import messages

FIELDS = (
    ORDER_FIELDS.replace('"Sagsnr"', '"nr"').replace('from = "Status"', 'from = "tilstand.kode"')
    .replace('"Overskrift"', '"tekster.overskrift"').replace('"Fag"', '"fag[0].navn"').replace('"Antal"', '"antal"')
)  # fmt: skip


pytestmark = pytest.mark.usefixtures("at_once")


WITH_TOKEN = 'token-file = "token"'


def case(number: int, status: str = "A", at: str = "2026-11-20T08:00:00Z") -> dict[str, Any]:
    """Return a case as the system has it."""
    return {
        "nr": number, "tilstand": {"kode": status}, "tekster": {"overskrift": f"Ordre {number}"},
        "fag": [{"navn": "Klejnsmed"}], "antal": 2, "opdateret": at, "borger": {"cpr": "010180-1234"},
    }  # fmt: skip


def connected(desk: Desk, system: CaseSystem, publish: str, login: str = WITH_TOKEN, path: str = "/sager") -> None:
    """Write the connector file and its secrets."""
    (desk.folder / "token").write_text(TOKEN)
    (desk.folder / "hemmelighed").write_text(SECRET + "\n")
    source = f'kind = "rest"\nurl = "{system.url}/api"\nrequests-per-second = 1000\n{login}'
    desk.write(source, f'path = "{path}"\n{publish}\n{FIELDS}')


OAUTH = """
[source.oauth]
token-url = "{url}/token"
client-id = "struer"
client-secret-file = "hemmelighed"
scope = "sager"
"""
ITEMS = 'items = "data.sager"'


def counts(report: PublishReport) -> tuple[int, int, int]:
    """Sent, unchanged, refused."""
    return report.accepted, report.unchanged, report.refused


def test_a_list_is_asked_for_and_dismissed_when_the_service_says_that_it_is_as_it_was(
    desk: Desk, system: CaseSystem
) -> None:
    """By its `ETag`; what the connector does not ask for is never sent."""
    connected(desk, system, ITEMS)
    system.cases = [case(1), case(2)]
    assert counts(desk.run()) == (2, 0, 0)
    assert counts(desk.run()) == (0, 2, 0)
    assert system.asked[-1]["etag"]
    assert len(system.asked) == 2
    system.cases[0]["tilstand"]["kode"] = "B"
    assert counts(desk.run()) == (1, 1, 0)
    assert "010180" not in orjson.dumps(desk.events()).decode()


@pytest.mark.parametrize(
    ("publish", "path"),
    [
        (f'{ITEMS}\npaging = {{ page = "side", page-size = "antal", size = 2 }}', "/sager"),
        (f'{ITEMS}\nparameters = {{ trin = "1" }}\npaging = {{ next = "næste", cursor = "fra" }}', "/sager"),
        ("", "/links"),
    ],
    ids=["numbered pages", "a cursor", "links"],
)
def test_a_long_list_is_asked_for_page_by_page(desk: Desk, system: CaseSystem, publish: str, path: str) -> None:
    """In each of the ways that are usual; what is gone is taken back only by all pages together."""
    connected(desk, system, f'{publish}\nvanished = "withdraw"\nwithdraw-at-most = 0.5', path=path)
    system.cases = [case(number) for number in range(5)]
    assert counts(desk.run()) == (5, 0, 0)
    del system.cases[2]
    report = desk.run()
    assert (report.withdrawn, report.unchanged) == (1, 4)
    assert desk.states()[-1] == ("2", "withdrawn")


def test_only_what_changed_is_asked_for(desk: Desk, system: CaseSystem) -> None:
    """From a little before the newest change that was seen."""
    connected(desk, system, f'{ITEMS}\nsince = {{ parameter = "siden", from = "opdateret" }}')
    system.cases = [case(1, at="2026-11-20T08:00:00Z"), case(2, at="2026-11-20T09:00:00Z")]
    desk.run()
    system.cases.append(case(3, at="2026-11-20T10:00:00Z"))
    report = desk.run()
    assert (report.rows, report.accepted) == (2, 1)
    desk.run()
    assert [asked.get("siden") for asked in system.asked] == [None, "2026-11-20T08:55:00Z", "2026-11-20T09:55:00Z"]


def test_a_change_that_is_yet_to_come_ends_no_list(desk: Desk, system: CaseSystem) -> None:
    """It is read each time, and so is what changes after it."""
    connected(desk, system, f'{ITEMS}\nsince = {{ parameter = "siden", from = "opdateret" }}')
    system.cases = [case(1, at="9999-12-31T00:00:00Z"), case(2, at="2026-11-20T09:00:00Z")]
    desk.run()
    system.cases.append(case(3, at="2026-11-20T10:00:00Z"))
    assert counts(desk.run()) == (1, 2, 0)


def test_a_token_is_asked_for_kept_and_asked_for_anew(desk: Desk, system: CaseSystem) -> None:
    """When the service does not accept it any more; the secret is in no message."""
    connected(desk, system, ITEMS, OAUTH.format(url=system.url))
    system.cases = [case(1)]
    assert counts(desk.run()) == (1, 0, 0)
    assert system.tokens_given == 1
    system.answers = [JSONResponse({}, 401)]
    system.cases.append(case(2))
    assert counts(desk.run()) == (1, 1, 0)
    assert system.tokens_given == 3
    connected(desk, system, ITEMS, OAUTH.format(url=system.url).replace("/token", "/findes-ikke"))
    report = desk.run()
    assert "gav os intet token" in messages(report)
    assert SECRET not in messages(report)


@pytest.mark.parametrize(
    ("answers", "sent"),
    [
        ([Response(status_code=429, headers={"Retry-After": "0"})], 1),
        ([Response(status_code=503), Response(status_code=502)], 1),
        ([Response(status_code=503)] * 4, 0),
        ([Response(status_code=429, headers={"Retry-After": "86400"})], 0),
        ([Response(status_code=503, headers={"Retry-After": "\xb2"})], 1),
    ],
    ids=["told to wait", "away for a moment", "away", "told to wait for a day", "no number"],
)
def test_a_service_that_asks_us_to_wait_is_waited_for(
    desk: Desk, system: CaseSystem, answers: list[Response], sent: int
) -> None:
    """But not for long: the next run comes."""
    connected(desk, system, ITEMS)
    system.cases = [case(1)]
    system.answers = answers
    report = desk.run()
    assert (report.accepted, report.exit_status) == (sent, 0 if sent else 1)
    system.answers = []
    assert desk.run().exit_status == 0


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (HTML, "svarede med en webside (HTML)"),
        (ELSEWHERE, "sender os videre til en anden adresse (307)"),
        (Response("{", media_type="application/json"), "svar er ikke JSON"),
        (JSONResponse({"andet": 1}), "På »data.sager« står der ingenting. Dokumentet har: andet"),
        (JSONResponse({}, 403), "giver os ikke lov (403)"),
        (JSONResponse({}, 404), "findes ikke hos tjenesten (404)"),
        (JSONResponse({}, 401), "godtager ikke vores token"),
        (JSONResponse({}, 418), "fejl 418"),
    ],
)
def test_an_answer_that_is_none_is_told_and_takes_nothing_back(
    desk: Desk, system: CaseSystem, answer: Response, told: str
) -> None:
    """One clear message; what was published stays."""
    connected(desk, system, f'{ITEMS}\nvanished = "withdraw"\nwithdraw-at-most = 1.0')
    system.cases = [case(1)]
    desk.run()
    system.answers = [answer]
    report = desk.run()
    assert (told in messages(report), report.withdrawn, report.exit_status) == (True, 0, 1)


def test_a_next_page_at_another_host_is_not_followed(desk: Desk, system: CaseSystem) -> None:
    """Our token is for this one."""
    connected(desk, system, f'{ITEMS}\npaging = {{ next = "næste" }}')
    system.answers = [JSONResponse({"data": {"sager": [case(1)]}, "næste": "http://127.0.0.2:1/sager"})]
    assert "en anden server; den følges ikke" in messages(desk.run())


def test_a_service_that_is_away_is_told(desk: Desk, system: CaseSystem) -> None:
    """After some tries."""
    connected(desk, system, ITEMS)
    path = desk.folder / "ordrer.toml"
    path.write_text(path.read_text().replace(system.url, "http://127.0.0.1:9"))
    assert "Tjenesten svarer ikke (ConnectError)" in messages(desk.run())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("http://127.0.0.1", "http://fagsystem.example"), "skal begynde med https://"),
        (("tekster.overskrift", "tekster..overskrift"), "er ikke en sti i JMESPath"),
        (('path = "/sager"', ""), "Skriv listens sti"),
        (('token-file = "token"', 'token-file = "findes-ikke"'), "kan ikke læses"),
    ],
)
def test_a_description_that_cannot_work_is_told_before_anything_is_asked(
    desk: Desk, system: CaseSystem, change: tuple[str, str], told: str
) -> None:
    """A token never goes over an open line."""
    connected(desk, system, ITEMS)
    path = desk.folder / "ordrer.toml"
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(ConnectorFileWrong, match=told):
        load_connector(path)


# --- folders of documents --------------------------------------------------------------------------------

XML = """<?xml version="1.0" encoding="iso-8859-1"?>
<udtræk xmlns="urn:fagsystem"><sag nr="{nr}"><tilstand kode="A"/><tekster><overskrift>Ordre {nr} på gården</overskrift>
</tekster><fag><navn>Klejnsmed</navn></fag><antal>2</antal></sag>{more}</udtræk>"""


def test_a_folder_of_json_and_of_xml_files_is_read(desk: Desk) -> None:
    """Each file once; one that is damaged does not hold up the others."""
    (desk.folder / "ind").mkdir()
    desk.write('kind = "folder"\npath = "ind/*.json"', f'items = "data.sager"\n{FIELDS}')
    (desk.folder / "ind" / "a.json").write_bytes(orjson.dumps({"data": {"sager": [case(1), case(2)]}}))
    (desk.folder / "ind" / "b.json").write_bytes(b'{"data": {"sager": [')
    (desk.folder / "ind" / "c.json").write_bytes(orjson.dumps({"data": {"sager": case(3)}}))
    report = desk.run()
    assert (report.accepted, report.refused) == (3, 1)
    assert "ikke gyldig JSON (linje 1, tegn 21)" in messages(report)
    assert desk.run().unchanged == 3
    for number in (8, 9):
        text = XML.format(nr=number, more="" if number == 8 else '<sag nr="10"><tilstand kode="Q"/></sag>')
        (desk.folder / "ind" / f"{number}.xml").write_bytes(text.encode("iso-8859-1"))
    fields = FIELDS.replace("fag[0].navn", "fag.navn")
    desk.write('kind = "folder"\npath = "ind/*.xml"', f'items = "udtræk.sag"\n{fields}')
    report = desk.run()
    assert (report.accepted, {row.row for row in report.refusals}) == (2, {2})
    assert desk.states("title")[-1] == ("9", "Ordre 9 på gården")


def test_ndjson_is_one_item_a_line(desk: Desk) -> None:
    """As exports often are."""
    desk.write('kind = "folder"\npath = "sager.ndjson"', FIELDS)
    (desk.folder / "sager.ndjson").write_bytes(b"\n".join(orjson.dumps(case(number)) for number in (1, 2)) + b"\n\n")
    assert counts(desk.run()) == (2, 0, 0)


@pytest.mark.parametrize(
    ("raw", "ending", "told"),
    [
        (b"", ".json", "Filen er tom"),
        (b"{} {}", ".json", "ikke gyldig JSON"),
        (b'{"a": 1}\n{"a": ', ".ndjson", "linje 2"),
        (b"<a><b></a>", ".xml", "ikke XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', ".xml", "DTD eller entiteter"),
        (b"\xff\xfe\x00", ".xml", "ikke XML"),
        (b"<a>" * 3_000 + b"</a>" * 3_000, ".xml", "mere end 100 elementer inden i hinanden"),
    ],
)
def test_a_document_that_cannot_be_read_says_where(raw: bytes, ending: str, told: str) -> None:
    """Also one that would make a parser swell."""
    with pytest.raises(SourceError, match=told):
        parsed(raw, ending)


def test_what_stands_in_a_document_becomes_a_cell() -> None:
    """Lists stay lists; an object is no value; a column beside the document is found by its name."""
    item = {"a": {"b": 1}, "c": ["x", "y"], "d.e": "z", "f": [[1]]}
    found = cells_at(item, ("a.b", "c", "d.e", "f", "g", "h"), {"g": 7})
    assert found[:3] == (1, ("x", "y"), "z")
    assert isinstance(found[3], BadCell)
    assert found[4:] == (7, None)


def nested(depth: int) -> Any:
    """Return lists within lists."""
    return [] if depth == 0 else [nested(depth - 1)]


def test_what_lies_too_deep_is_no_value() -> None:
    """Lists and objects that no field is meant for hold up no other."""
    deep: dict[str, Any] = {}
    for _ in range(600):
        deep = {"a": deep}
    found = cells_at(
        {"lister": nested(600), "objekter": deep, "stort": {"a": 10**30}, "nr": 1},
        ("lister", "objekter", "stort", "nr"),
    )
    assert [isinstance(cell, BadCell) for cell in found] == [True, True, True, False]


def test_a_long_list_of_xml_is_read_in_time_that_grows_with_it() -> None:
    """Not with its square."""
    items = b"<sag/>" * 100_000
    began = time.process_time()
    assert len(parsed(b"<a>" + items + b"</a>", ".xml")["a"]["sag"]) == 100_000
    assert time.process_time() - began < 3


@pytest.mark.parametrize("expression", ["sort_by(data, &id)", "data[::0]", "max_by(data, &id)", "length(fejl)"])
def test_a_path_that_does_not_fit_an_answer_is_told(expression: str) -> None:
    """As where a service tells of an error in place of the list."""
    plan = Plan(sheet_type(EventName("job-order")))
    found = document_table(plan, {"data": [{"id": 1}, {"id": "x"}], "fejl": 7}, expression, may_be_empty=False)
    assert isinstance(found, SourceError)
    assert "passer ikke til dokumentet" in found.message


@pytest.mark.parametrize(
    ("publish", "answer", "told"),
    [
        ('items = "sort_by(data, &id)"', {"data": "nede"}, "passer ikke til dokumentet"),
        (f'{ITEMS}\npaging = {{ next = "length(næste)" }}', {"data": {"sager": [case(1)]}, "næste": 1}, "passer ikke"),
        (
            f'{ITEMS}\npaging = {{ next = "næste" }}',
            {"data": {"sager": [case(1)]}, "næste": "http://[x"},
            "som ikke er en adresse",
        ),
        (
            f'{ITEMS}\npaging = {{ next = "næste" }}',
            {"data": {"sager": [case(1)]}, "næste": "/a\x00b"},
            "som ikke er en adresse",
        ),
    ],
    ids=["items", "next", "no address", "no sign of an address"],
)
def test_an_answer_that_fits_no_path_is_told(
    desk: Desk, system: CaseSystem, publish: str, answer: dict[str, Any], told: str
) -> None:
    """And ends no other list."""
    connected(desk, system, publish)
    system.answers = [JSONResponse(answer)]
    report = desk.run()
    assert told in messages(report)
    assert (report.accepted, report.exit_status) == (0, 1)


def test_a_change_whose_time_cannot_be_found_moves_nothing(desk: Desk, system: CaseSystem) -> None:
    """The item is read all the same."""
    connected(desk, system, f"{ITEMS}\nsince = {{ parameter = 'siden', from = 'max(historik)' }}")
    system.cases = [case(1) | {"historik": 7}, case(2) | {"historik": ["2025", "2026"]}]
    assert counts(desk.run()) == (2, 0, 0)
    desk.run()
    assert system.asked[-1]["siden"] == "2026"


@given(st.text(max_size=20), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_whatever_a_path_finds_is_a_cell_or_nothing(path: str, item: Any) -> None:
    """A path that is none is told when the file is read; one that does not fit an item finds nothing."""
    with suppress(ValueError):
        compiled(path)
        assert len(cells_at(item, (path,))) == 1
