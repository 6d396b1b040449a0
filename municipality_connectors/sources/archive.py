"""Check an .xlsx before anything in it is unpacked: it is a zip file from somewhere."""

import zipfile
from io import BytesIO
from pathlib import PurePath

from municipality_connectors.sheet_file import SheetError

MEMBERS_MAX = 2_000
"""Files inside the workbook; one with many pictures has some hundreds."""

UNPACKED_BYTES_MAX = 400 * 1024 * 1024
"""100,000 rows of 40 columns unpack to some 200 MB."""

TEXTS_BYTES_MAX = 100 * 1024 * 1024
"""The shared texts are held in memory as a whole."""

RATIO_MAX = 150
"""Unpacked to packed size of one member. Sheets of empty formatted cells reach 60, a zip bomb 1,000."""

RATIO_FREE_BYTES = 1024 * 1024
"""Below this size a member's ratio does not matter."""

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
    """Refuse by its name what is certainly no sheet of ours. Raises `SheetError`."""
    ending = PurePath(name).suffix.lower()
    if ending in _REFUSED_ENDINGS:
        raise SheetError("macro-sheet" if ending.endswith("m") else "wrong-format", _REFUSED_ENDINGS[ending])
    if ending != ".xlsx":
        raise SheetError(
            "wrong-format", "Vi læser filer, der ender på .xlsx, .csv, .json eller .ndjson. Gem filen som .xlsx."
        )


def check_archive(raw: bytes) -> zipfile.ZipFile:
    """Return the opened archive of a workbook that may be unpacked. Raises `SheetError`."""
    if raw.startswith(_OLE2):
        raise SheetError(
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


def not_a_workbook() -> SheetError:
    """Return the error for a file that Excel itself could hardly open."""
    return SheetError(
        "unreadable",
        "Filen kan ikke læses som en Excel-projektmappe. Den er måske beskadiget eller ikke hentet helt. "
        "Åbn den i Excel, og gem den igen som .xlsx.",
    )


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MEMBERS_MAX:
        raise SheetError("too-large", f"Filen indeholder over {MEMBERS_MAX} dele og bliver ikke pakket ud.")
    if sum(member.file_size for member in members) > UNPACKED_BYTES_MAX:
        raise SheetError(
            "too-large",
            f"Filen fylder pakket ud over {UNPACKED_BYTES_MAX // 1024 // 1024} MB. Del arket i flere filer.",
        )
    for member in members:
        name = member.filename.lower()
        if member.file_size > RATIO_FREE_BYTES and member.file_size > RATIO_MAX * max(member.compress_size, 1):
            raise SheetError(
                "too-large",
                "Filen er pakket så tæt, at den ligner et forsøg på at overbelaste modtageren (en »zip-bombe«). "
                "Kopiér rækkerne til en ny projektmappe, og gem den.",
            )
        if name.endswith("sharedstrings.xml") and member.file_size > TEXTS_BYTES_MAX:
            raise SheetError("too-large", "Filen har mere tekst, end vi læser på én gang. Del arket i flere filer.")
        if name.endswith(("vbaproject.bin", "vbadata.xml")) or "/macrosheets/" in name:
            raise SheetError("macro-sheet", _REFUSED_ENDINGS[".xlsm"])
        if member.flag_bits & 0x1:
            raise SheetError("encrypted", "Filen er beskyttet med adgangskode. Fjern den, og gem filen igen.")
    if not any(member.filename == "[Content_Types].xml" for member in members):
        raise not_a_workbook()
