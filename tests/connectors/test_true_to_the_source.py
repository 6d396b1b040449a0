"""What a source did not say is not published, and what it said is not lost: marks, outboxes and withdrawals."""

from pathlib import Path

import pytest

from municipality_connectors.connector_file.loading import ConnectorFileWrong, load_connector
from tests.connectors import databases
from tests.connectors.conftest import ORDER_FIELDS, Desk
from tests.connectors.databases import Database
from tests.connectors.sheets import messages
from tests.connectors.test_connecting import counts, order, write_csv

pytestmark = pytest.mark.usefixtures("at_once")


OUTBOX = (
    "CREATE TABLE udbakke (nr integer primary key, art text, sagsnr text, status text, overskrift text, fag text,"
    " antal text)"
)
INSERT = "INSERT INTO udbakke VALUES (%s, %s, %s, %s, %s, %s, %s)"


@pytest.fixture
def outbox(desk: Desk) -> Database:
    """A municipality's outbox table, in SQLite."""
    made = databases.sqlite(desk.folder)
    made.execute(OUTBOX)
    return made


def kind_of(kind: str) -> str:
    """Return a `[[publish]]` of the rows of one kind."""
    head = f'table = "udbakke"\nsequence = "nr"\nonly = {{ column = "art", is = "{kind}" }}\n'
    return head + ORDER_FIELDS


def test_a_number_that_is_used_again_is_another_row(desk: Desk, outbox: Database) -> None:
    """As where a table is emptied and its numbers begin anew."""
    desk.write('kind = "outbox"\nurl = "sqlite:///fagsystem.db"', kind_of("a"))
    for thing in ("1", "2"):
        outbox.execute(INSERT, [(1, "a", *order(int(thing)))])
        assert desk.run().accepted == 1
        assert outbox.execute("SELECT count(*) FROM udbakke") == [(0,)]
    assert desk.states() == [("1", "open"), ("2", "open")]


def test_two_descriptions_of_one_outbox_read_it_together(desk: Desk, outbox: Database) -> None:
    """Told apart by a column, each has its rows; only then are they struck out."""
    desk.write('kind = "outbox"\nurl = "sqlite:///fagsystem.db"', f"{kind_of('a')}\n[[publish]]\n{kind_of('b')}")
    outbox.execute(INSERT, [(number, "ab"[number % 2], *order(number)) for number in range(1, 6)])
    assert desk.run().accepted == 5
    assert outbox.execute("SELECT count(*) FROM udbakke") == [(0,)]


def test_a_look_strikes_nothing_out(desk: Desk, outbox: Database) -> None:
    """Not even what an earlier run had kept."""
    desk.write('kind = "outbox"\nurl = "sqlite:///fagsystem.db"', kind_of("a"))
    outbox.execute(INSERT, [(1, "a", *order(1))])
    assert desk.look().new == 1
    assert outbox.execute("SELECT count(*) FROM udbakke") == [(1,)]


def test_two_descriptions_of_one_table_have_a_mark_each(desk: Desk, outbox: Database) -> None:
    """And mending the connector file has its rows read anew."""
    source = 'kind = "sql"\nurl = "sqlite:///fagsystem.db"'

    def publish(kind: str, fields: str = ORDER_FIELDS) -> str:
        return f'table = "udbakke"\nchanged-since = "nr"\nonly = {{ column = "art", is = "{kind}" }}\n{fields}'

    desk.write(source, f"{publish('a')}\n[[publish]]\n{publish('b')}")
    outbox.execute(INSERT, [(number, "ab"[number % 2], *order(number)) for number in range(1, 6)])
    assert desk.run().accepted == 5
    outbox.execute(INSERT, [(1_000, "a", *order(6, "Ny"))])
    assert desk.run().refused == 1
    mended = ORDER_FIELDS.replace('A = "open"', 'A = "open", Ny = "open"')
    desk.write(source, f"{publish('a', mended)}\n[[publish]]\n{publish('b', mended)}")
    assert counts(desk.run())[0] == 1


def test_what_came_to_its_end_is_no_measure_of_what_may_be_withdrawn(desk: Desk) -> None:
    """A hundred filled orders do not make three of four open ones a tenth."""
    desk.write('kind = "csv"\npath = "ordrer.csv"', f'vanished = "withdraw"\n{ORDER_FIELDS}')
    done = [order(number, "B") for number in range(100)]
    path = write_csv(desk.folder / "ordrer.csv", [*done, *(order(number) for number in range(100, 104))])
    assert desk.run().accepted == 104
    write_csv(path, [order(100)])
    report = desk.run()
    assert (report.withdrawn, report.asked) == (0, 3)


def test_an_emptied_table_withdraws_nothing_by_itself(desk: Desk, outbox: Database) -> None:
    """Whatever the file allows; a person can say that it is right."""
    desk.write(
        'kind = "sql"\nurl = "sqlite:///fagsystem.db"',
        f'table = "udbakke"\nvanished = "withdraw"\nwithdraw-at-most = 1.0\n{ORDER_FIELDS}',
    )
    outbox.execute(INSERT, [(number, "a", *order(number)) for number in range(1, 4)])
    assert desk.run().accepted == 3
    outbox.execute("DELETE FROM udbakke")
    report = desk.run()
    assert (report.withdrawn, "--withdraw" in messages(report)) == (0, True)
    assert desk.run(withdraw_all=True).withdrawn == 3


def test_a_row_that_moved_to_another_file_can_change_there(desk: Desk) -> None:
    """Unchanged at first, so that nothing was sent of its moving."""
    desk.write('kind = "csv"\npath = "*.csv"')
    first = write_csv(desk.folder / "a.csv", [order(1), order(2)])
    assert desk.run().accepted == 2
    write_csv(first, [order(2)])
    second = write_csv(desk.folder / "b.csv", [order(1)])
    assert counts(desk.run()) == (0, 2, 0)
    write_csv(second, [order(1, "B")])
    assert counts(desk.run()) == (1, 1, 0)


def test_a_refused_time_leaves_no_trace(desk: Desk) -> None:
    """Mended, the row is sent with its own time."""
    header = ("Sagsnr", "Status", "Overskrift", "Fag", "Antal", "Opdateret")
    desk.write('kind = "csv"\npath = "ordrer.csv"', f'changed = "Opdateret"\n{ORDER_FIELDS}')
    path = write_csv(desk.folder / "ordrer.csv", [[*order(1), "01-01-2062 08:00"]], header)
    assert counts(desk.run()) == (0, 0, 1)
    write_csv(path, [[*order(1), "01-11-2026 08:00"]], header)
    assert counts(desk.run()) == (1, 0, 0)
    assert desk.events()[0]["time"] == "2026-11-01T07:00:00.000Z"


def test_a_deletion_that_has_only_an_id_takes_the_thing_back(desk: Desk) -> None:
    """With what is known of it; of what was never published there is nothing to take back."""
    header = ("Sagsnr", "Status", "Overskrift", "Fag", "Antal", "Slettet")
    desk.write('kind = "csv"\npath = "ordrer.csv"', f'withdrawn = {{ column = "Slettet", is = "1" }}\n{ORDER_FIELDS}')
    path = write_csv(desk.folder / "ordrer.csv", [[*order(1), ""]], header)
    assert desk.run().accepted == 1
    write_csv(path, [["1", "", "", "", "", "1"], ["7", "", "", "", "", "1"]], header)
    assert desk.run().refusals == []
    assert desk.states() == [("1", "open"), ("1", "withdrawn")]


def test_a_thing_that_is_made_and_deleted_in_one_reading_ends_taken_back(desk: Desk, outbox: Database) -> None:
    """What is known of it was read a row before."""
    gone = 'withdrawn = { column = "overskrift", is = "slettet" }\n'
    publish = kind_of("a").replace("only =", f"{gone}only =")
    desk.write('kind = "outbox"\nurl = "sqlite:///fagsystem.db"', publish)
    outbox.execute(INSERT, [(1, "a", *order(1)), (2, "a", "1", "", "slettet", "", "")])
    assert desk.run().refusals == []
    assert desk.states() == [("1", "open"), ("1", "withdrawn")]


def test_an_id_that_is_a_citizens_number_goes_nowhere(desk: Desk) -> None:
    """Neither to the gateway nor into what is told or remembered."""
    desk.write('kind = "csv"\npath = "ordrer.csv"')
    write_csv(desk.folder / "ordrer.csv", [["010190-1234", *order(1)[1:]], order(2)])
    report = desk.run()
    assert (counts(report), "ligner et CPR-nummer" in messages(report)) == ((1, 0, 1), True)
    assert "010190" not in str(report.as_json())
    assert b"010190" not in b"".join(path.read_bytes() for path in (desk.folder / "husket").iterdir())


def test_a_point_in_a_condition_is_a_point(desk: Desk) -> None:
    """In a text; a number stands in a cell with a comma."""
    only = 'only = { column = "Fag", is-not = "Hold. ude" }'
    desk.write('kind = "csv"\npath = "ordrer.csv"', f"{only}\n{ORDER_FIELDS}")
    write_csv(desk.folder / "ordrer.csv", [order(1, Fag="Hold. ude"), order(2)])
    assert counts(desk.run()) == (1, 0, 0)


def test_an_error_that_nobody_foresaw_stops_one_file(desk: Desk) -> None:
    """Its own function, say; told by its type alone, since its text may be a cell's."""
    (desk.folder / "mapning.py").write_text("def titel(row):\n    raise SystemError(row['Overskrift'])\n")
    fields = ORDER_FIELDS.replace('title = "Overskrift"', 'title = { python = "mapning.py:titel" }')
    desk.write('kind = "csv"\npath = "*.csv"', fields)
    write_csv(desk.folder / "a.csv", [order(1)])
    report = desk.run()
    assert report.exit_status == 1
    assert "Ordre 1" not in messages(report)


def test_one_path_of_a_webhook_has_one_description(desk: Desk, tmp_path: Path) -> None:
    """The second would never be called."""
    (tmp_path / "hemmelighed").write_text("en lang hemmelighed")
    one = f'path = "/ordrer"\n{ORDER_FIELDS}'
    path = desk.write('kind = "webhook"\nsecret-file = "hemmelighed"', f"{one}\n[[publish]]\n{one}")
    with pytest.raises(ConnectorFileWrong, match="Stien står flere steder"):
        load_connector(path)
