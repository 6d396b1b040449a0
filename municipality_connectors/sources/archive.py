"""Check an .xlsx before anything in it is unpacked: it is a zip file from somewhere."""

import re
import zipfile
from io import BytesIO
from pathlib import PurePath

from municipality_connectors.tables import SourceError

MEMBERS_MAX = 2_000
"""Files inside the workbook; one with many pictures has some hundreds."""

UNPACKED_BYTES_MAX = 400 * 1024 * 1024
"""100,000 rows of 40 columns unpack to some 200 MB."""

TEXTS_BYTES_MAX = 100 * 1024 * 1024
"""The shared texts are held in memory as a whole."""

PART_BYTES_MAX = 16 * 1024 * 1024
"""Styles, the workbook and all else but rows and texts: held in memory as a tree, some twenty times its size."""

RATIO_MAX = 150
"""Unpacked to packed size of one member. Sheets of empty formatted cells reach 60, a zip bomb 1,000."""

RATIO_FREE_BYTES = 1024 * 1024
"""Below this size a member's ratio does not matter."""

_ROWS_AND_TEXTS = re.compile(r"(.*/)?(worksheets/[^/]+|sharedstrings)\.xml")
"""What has limits of its own: rows are read one by one, texts are counted above. Names in lower case."""

_OLE2 = bytes.fromhex("d0cf11e0a1b11ae1")
_REFUSED_ENDINGS = {
    ".xls": "Filen er i det gamle .xls-format. Åbn den i Excel og gem den som »Excel-projektmappe (*.xlsx)«.",
    ".xlsm": "Filen er en projektmappe med makroer. Gem den som »Excel-projektmappe (*.xlsx)« uden makroer.",
    ".xlsb": "Filen er en binær projektmappe (.xlsb). Gem den som »Excel-projektmappe (*.xlsx)«.",
    ".xltm": "Filen er en skabelon med makroer. Gem den som »Excel-projektmappe (*.xlsx)« uden makroer.",
    ".ods": "Filen er et OpenDocument-regneark. Gem den som »Excel-projektmappe (*.xlsx)«.",
    ".numbers": "Filen er fra Apple Numbers. Eksportér den til Excel (.xlsx).",
}


def check_ending(name: str) -> None:
    """Refuse by its name what is certainly no sheet of ours. Raises `SourceError`."""
    ending = PurePath(name).suffix.lower()
    if ending in _REFUSED_ENDINGS:
        raise SourceError("macro-sheet" if ending.endswith("m") else "wrong-format", _REFUSED_ENDINGS[ending])
    if ending != ".xlsx":
        raise SourceError(
            "wrong-format", "Vi læser filer, der ender på .xlsx, .csv, .json eller .ndjson. Gem filen som .xlsx."
        )


def check_archive(raw: bytes) -> zipfile.ZipFile:
    """Return the opened archive of a workbook that may be unpacked. Raises `SourceError`."""
    if raw.startswith(_OLE2):
        raise SourceError(
            "encrypted",
            "Filen er beskyttet med adgangskode, eller den er i det gamle .xls-format. "
            "Fjern adgangskoden i Excel (Filer, Oplysninger, Beskyt projektmappe), og gem som .xlsx.",
        )
    try:
        archive = zipfile.ZipFile(BytesIO(raw))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        raise not_a_workbook() from None
    _check_members(archive.infolist())
    return archive


def not_a_workbook() -> SourceError:
    """Return the error for a file that Excel itself could hardly open."""
    return SourceError(
        "unreadable",
        "Filen kan ikke læses som en Excel-projektmappe. Den er måske beskadiget eller ikke hentet helt. "
        "Åbn den i Excel, og gem den igen som .xlsx.",
    )


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MEMBERS_MAX:
        raise SourceError("too-large", f"Filen indeholder over {MEMBERS_MAX} dele og bliver ikke pakket ud.")
    if sum(member.file_size for member in members) > UNPACKED_BYTES_MAX:
        raise SourceError(
            "too-large",
            f"Filen fylder pakket ud over {UNPACKED_BYTES_MAX // 1024 // 1024} MB. Del arket i flere filer.",
        )
    for member in members:
        name = member.filename.lower()
        if member.file_size > RATIO_FREE_BYTES and member.file_size > RATIO_MAX * max(member.compress_size, 1):
            raise SourceError(
                "too-large",
                "Filen er pakket så tæt, at den ligner et forsøg på at overbelaste modtageren (en »zip-bombe«). "
                "Kopiér rækkerne til en ny projektmappe, og gem den.",
            )
        if name.endswith("sharedstrings.xml") and member.file_size > TEXTS_BYTES_MAX:
            raise SourceError("too-large", "Filen har mere tekst, end vi læser på én gang. Del arket i flere filer.")
        if member.file_size > PART_BYTES_MAX and not _ROWS_AND_TEXTS.fullmatch(name):
            raise SourceError(
                "too-large",
                f"Filens del {member.filename[:80]} fylder pakket ud over {PART_BYTES_MAX // 1024 // 1024} MB. Fjern "
                "billeder, pivottabeller og ubrugt formatering, eller kopiér rækkerne til en ny projektmappe.",
            )
        if name.endswith(("vbaproject.bin", "vbadata.xml")) or "/macrosheets/" in name:
            raise SourceError("macro-sheet", _REFUSED_ENDINGS[".xlsm"])
        if member.flag_bits & 0x1:
            raise SourceError("encrypted", "Filen er beskyttet med adgangskode. Fjern den, og gem filen igen.")
    if not any(member.filename == "[Content_Types].xml" for member in members):
        raise not_a_workbook()
