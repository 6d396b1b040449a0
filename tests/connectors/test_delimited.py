"""CSV files: the ways in which Excel in Denmark, and others, write them."""

import codecs
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from municipality_connectors.mapping.plan import is_known_title
from municipality_connectors.sources import delimited
from municipality_connectors.sources.delimited import DelimitedFile
from municipality_connectors.tables import BadCell, Row, SourceError, SourceLocked

HEADER = "Id;Titel;Timer om ugen, mindst\r\n"


def opened(path: Path, content: str | bytes, encoding: str = "utf-8") -> DelimitedFile:
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return DelimitedFile(path, is_known_title)


def rows(path: Path, content: str | bytes, encoding: str = "utf-8") -> list[Row]:
    return list(opened(path, content, encoding).worksheet().rows)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_every_usual_spelling_is_read(tmp_path: Path, encoding: str, delimiter: str, end: str) -> None:
    """The encoding by its marks, the delimiter by the titles that we know."""
    text = (
        delimiter.join(["Id", "Titel", '"Timer om ugen, mindst"']) + end + delimiter.join(["1", "Rengøring", '"37,5"'])
    )
    file = opened(tmp_path / "a.csv", text, encoding)
    assert file.worksheet().header == ("Id", "Titel", "Timer om ugen, mindst")
    assert list(file.worksheet().rows) == [Row(2, ("1", "Rengøring", "37,5"))]


def test_the_line_that_names_the_delimiter_is_no_row(tmp_path: Path) -> None:
    """Excel reads `sep=|` and shows it nowhere."""
    file = opened(tmp_path / "a.csv", "sep=|\r\nId|Titel\r\n1|A\r\n")
    assert file.worksheet().header == ("Id", "Titel")
    assert list(file.worksheet().rows) == [Row(2, ("1", "A"))]


def test_records_are_counted_as_excel_counts_rows(tmp_path: Path) -> None:
    """A line break inside quotes makes no row; an empty line does."""
    found = rows(tmp_path / "a.csv", HEADER + '1;"linje 1\r\nlinje 2";\r\n\r\n;;\r\n2;"Han sagde ""ja""";8\r\n')
    assert found == [Row(2, ("1", "linje 1\r\nlinje 2", "")), Row(5, ("2", 'Han sagde "ja"', "8"))]


@pytest.mark.parametrize(
    ("text", "row"),
    [
        (HEADER + '1;"A;37\r\n2;B;37\r\n', 2),
        (HEADER + '1;A;37\r\n2;"B"x;37\r\n3;C;37\r\n', 3),
        (HEADER + '1;"' + "A\r\n" * 40_000 + '";3\r\n', 2),
        ('"Id;Titel\r\n1;A\r\n', 1),
    ],
)
def test_a_broken_quote_is_told_where_it_begins(tmp_path: Path, text: str, row: int) -> None:
    """Not at the end of the file, where the parser notices."""
    with pytest.raises(SourceError) as raised:
        rows(tmp_path / "a.csv", text)
    assert (raised.value.problem, raised.value.row) == ("broken-quote", row)
    assert f"række {row}" in raised.value.message


@pytest.mark.parametrize("content", [b"PK\x03\x04\0\0", b"Id;Titel\r\n\x81\x8d\x8f;x\r\n", b"\xff\xfeI"])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    """A renamed workbook, bytes that Windows does not use, half a character."""
    with pytest.raises(SourceError, match="andet end tekst"):
        rows(tmp_path / "a.csv", content)


WORDS = HEADER + "1;Fødevarer på Føtex;37\r\n2;Rengøring – på gården;30\r\n"  # noqa: RUF001  # Word's dash


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_a_damaged_utf_8_file_is_not_read_as_another_encoding(tmp_path: Path, mark: bytes) -> None:
    """Cut within a letter, or with a row from another file: every `ø` would become two signs, and every row new."""
    cut = WORDS.encode()[: WORDS.encode().rindex("å".encode()) + 1]
    with pytest.raises(SourceError, match="linje 3") as raised:
        opened(tmp_path / "a.csv", mark + cut)
    assert (raised.value.problem, raised.value.row) == ("damaged-text", 3)
    with pytest.raises(SourceError, match="linje 3"):
        opened(tmp_path / "a.csv", mark + (HEADER + "1;A;7\r\n2;å").encode()[:-1])
    with pytest.raises(SourceError, match="linje 4"):
        opened(tmp_path / "a.csv", mark + WORDS.encode() + "3;Smørrebrød;7\r\n".encode("cp1252"))


# Windows' own quotes and dashes.
@pytest.mark.parametrize("text", [WORDS, "Id;Titel\r\n1;«TRÆK PÅ» Ø’ Æ–\r\n", "Id;Titel\r\n1;â Ã\r\n"])  # noqa: RUF001
def test_what_windows_writes_is_read(tmp_path: Path, text: str) -> None:
    """Also where two of its letters happen to be one of another encoding."""
    assert opened(tmp_path / "a.csv", text, "cp1252").worksheet().header[:2] == ("Id", "Titel")
    assert "".join(map(str, rows(tmp_path / "a.csv", text, "cp1252")[0].cells)) in text.replace(";", "")


def test_the_delimiter_is_found_without_another_copy_of_the_file(tmp_path: Path) -> None:
    """A file may have 50 MB."""
    file = tmp_path / "a.csv"
    file.write_bytes(HEADER.encode() + b"1;A;37\r\n" * 400_000)
    tracemalloc.start()
    try:
        DelimitedFile(file, is_known_title)
        assert tracemalloc.get_traced_memory()[1] < 2.5 * file.stat().st_size
    finally:
        tracemalloc.stop()


def test_limits_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and columns, each with its message."""
    monkeypatch.setattr(delimited, "ROWS_MAX", 2)
    with pytest.raises(SourceError, match="over 2 rækker"):
        rows(tmp_path / "a.csv", HEADER + "1;A;\r\n2;B;\r\n3;C;\r\n")
    with pytest.raises(SourceError, match="kolonner"):
        rows(tmp_path / "a.csv", ";".join(f"k{number}" for number in range(300)) + "\r\n")


def test_an_exported_formula_error_is_told(tmp_path: Path) -> None:
    """Danish Excel writes what it shows."""
    cell = rows(tmp_path / "a.csv", HEADER + "1;#REFERENCE!;37\r\n", "cp1252")[0].cells[1]
    assert isinstance(cell, BadCell)


def test_a_guarded_text_loses_its_guard(tmp_path: Path) -> None:
    """A quote before + or = was put there so that no program takes the text for a formula."""
    assert rows(tmp_path / "a.csv", HEADER + "1;'+45 00 00 11 04;'a\r\n")[0].cells == ("1", "+45 00 00 11 04", "'a")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig", "utf-16"])
def test_filling_a_field_leaves_the_other_records_as_they_are_spelt(tmp_path: Path, encoding: str) -> None:
    """Quotes that were not needed, single line ends, a record that is too short: all stay."""
    text = 'sep=;\r\nId;"Titel";Æ\r\n"1";"A";\n;B;ø\r\n;"C ""c"""\r\n'
    path = tmp_path / "a.csv"
    opened(path, text, encoding).fill(None, {(3, 0): "JO-1", (4, 2): "x;y"})
    assert path.read_bytes().decode(encoding) == text.replace(";B;ø", "JO-1;B;ø").replace(
        ';"C ""c"""', ';"C ""c""";"x;y"'
    )


def test_an_open_or_changed_file_is_not_written(tmp_path: Path) -> None:
    """The lock beside it, or another content than was read."""
    path = tmp_path / "a.csv"
    file = opened(path, HEADER + ";A;\r\n")
    path.write_text("andet")
    with pytest.raises(SourceLocked, match="blev ændret"):
        file.fill(None, {(2, 0): "JO-1"})
    (tmp_path / ".~lock.a.csv#").touch()
    with pytest.raises(SourceLocked, match="låsefilen"):
        file.fill(None, {(2, 0): "JO-1"})
    assert path.read_text() == "andet"


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Rows or a `SourceError`, whatever is in the file."""
    path = tmp_path_factory.getbasetemp() / "vilkaarlig.csv"
    try:
        rows(path, HEADER.encode() + content)
    except SourceError as error:
        assert error.message  # noqa: PT017  # either way is right
