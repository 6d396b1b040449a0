"""Read a connector file, and make a connector of it or say in Danish everything that is wrong with it."""

import importlib.util
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from municipality_connectors.connector_file.deliveries import deliveries_of
from municipality_connectors.connector_file.fields import FileFault, conditions_of, faults_of, rule_of, rules_of
from municipality_connectors.connector_file.model import ConnectorFile, Publish
from municipality_connectors.connector_file.opening.kinds import open_source
from municipality_connectors.connector_file.opening.opening import Opened
from municipality_connectors.connector_file.secret_files import read_secret
from municipality_connectors.delivering.delivery import Delivery
from municipality_connectors.mapping.plan import Plan
from municipality_connectors.mapping.sheet_types import sheet_type
from municipality_connectors.sources.portion import MarkOf, Portion, Source
from municipality_connectors.tables import Cell, SourceError
from schemas.identifiers import EventName, InvalidIdentifier, Participant

FILE_BYTES_MAX = 1024 * 1024
_ADDRESS = "Skriv gatewayens adresse som https://gateway.example eller http://127.0.0.1:8080, uden sti efter."
READING_VERSION = b"1"
"""Changes whenever a file that was read before has to be read anew, because rows are understood in another way."""


class ConnectorFileWrong(Exception):
    """The connector file cannot be used. faults: everything that is wrong, in the order of the file."""

    def __init__(self, path: Path, faults: list[FileFault]) -> None:
        super().__init__("\n".join(": ".join(filter(None, (fault.where, fault.message))) for fault in faults))
        self.path, self.faults = path, faults


class Nothing:
    """The source of a connector that only delivers."""

    def portions(self, mark_of: MarkOf) -> Iterator[Portion | SourceError]:  # noqa: ARG002  # there is nothing
        """Iterate over nothing."""
        return iter(())


@dataclass(frozen=True)
class Connector:
    """A connector, ready to run.

    state_folder: None for the user's own folder. to: the gateway that was given instead of the file's.
    """

    path: Path
    name: str
    kind: str
    participant: str
    system: str
    url: str
    token: str | None
    every_s: int
    pace_events_s: float
    state_folder: Path | None
    plans: tuple[Plan, ...]
    opened: Opened
    deliveries: tuple[Delivery, ...] = ()
    to: str | None = None

    @property
    def as_typed(self) -> str:
        """The file, and the gateway where it is not the file's, as they are written after a command."""
        return str(self.path) if self.to is None else f"{self.path} --to {self.to}"

    @property
    def source_name(self) -> str:
        """The `source` of its events."""
        return f"urn:kommunebro:{self.participant}:{self.system}"

    def source(self) -> Source:
        """Open its source. Raises `SourceError`."""
        return self.opened.source()


def load_connector(path: Path, to: str | None = None) -> Connector:
    """Read a connector file. to: a gateway instead of the one that it names. Raises `ConnectorFileWrong`."""
    raw = _read(path)
    written = _parsed(path, raw)
    faults: list[FileFault] = []
    for name in ("publish", "deliver"):
        if isinstance(written.get(name), dict):
            written[name] = [written[name]]
    try:
        file = ConnectorFile.model_validate(written)
    except ValidationError as error:
        raise ConnectorFileWrong(path, faults_of(error)) from None
    try:
        participant = Participant(file.participant)
    except InvalidIdentifier:
        faults.append(FileFault(("participant",), "Skriv kommunens 4-cifrede kode, fx 0671, eller deltagerens id."))
        participant = Participant("0671")
    folder = path.resolve().parent
    plans = tuple(
        _plan(publish, place, folder, faults, _definition(file, publish))
        for place, publish in enumerate(file.publish, 1)
    )
    opened = Opened(Nothing)
    if file.source is not None and file.publish:
        entries = list(zip(file.publish, plans, strict=True))
        opened = open_source(file.source, entries, folder, READING_VERSION + sha256(raw).digest(), faults)
    elif file.source is not None or file.publish or not file.deliver:
        faults.append(FileFault((), "Filen skal have [source] og [[publish]], eller [[deliver]], eller begge dele."))
    deliveries = deliveries_of(file.name, file.deliver, folder, faults)
    faults += [FileFault(("gateway", "url"), _ADDRESS) for url in [file.gateway.url] if not is_address(url)]
    token = read_secret(folder, file.gateway.token_file, ("gateway", "token-file"), faults)
    if faults:
        raise ConnectorFileWrong(path, faults)
    kind = file.source.kind if file.source is not None else "deliver"
    state_folder = None if file.state is None else folder / file.state
    return Connector(
        path, file.name, kind, participant, file.system, to or file.gateway.url, token, file.every,
        file.gateway.events_per_second, state_folder, plans, opened, deliveries, to,
    )  # fmt: skip


def is_address(url: str) -> bool:
    """Whether it is a gateway's address: its paths are ours to add."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # it is looked at when it is asked for
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/") and not parts.query


def _read(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        message = "Filen findes ikke. Er navnet rigtigt? »kommunebro connect new« laver en ny."
        raise ConnectorFileWrong(path, [FileFault((), message)]) from None
    except OSError as error:
        raise ConnectorFileWrong(path, [FileFault((), f"Filen kan ikke læses ({error.strerror}).")]) from None
    if len(raw) > FILE_BYTES_MAX:
        raise ConnectorFileWrong(path, [FileFault((), "Filen fylder over 1 MB, og er ikke en forbindelsesfil.")])
    return raw


def _parsed(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ConnectorFileWrong(path, [FileFault((), "Filen er ikke UTF-8. Gem den som UTF-8.")]) from None
    except tomllib.TOMLDecodeError as error:
        message = (
            f"Filen er ikke rigtig TOML {_where(error)}. Tekst står i anførselstegn; det gør også et navn med "
            "æ, ø, å eller mellemrum. En sti med omvendt skråstreg skrives i enkelte: 'C:\\eksport'."
        )
        raise ConnectorFileWrong(path, [FileFault((), message)]) from None


_LINE_AND_COLUMN = re.compile(r"\(at line (\d+), column (\d+)\)")


def _where(error: tomllib.TOMLDecodeError) -> str:
    """Return where a file is wrong, in Danish: the library says it in English, and only in its text."""
    if (found := _LINE_AND_COLUMN.search(str(error))) is None:
        return f"i slutningen ({error})"
    return f"i linje {found[1]}, tegn {found[2]} ({str(error)[: found.start()].strip()})"


def _definition(file: ConnectorFile, publish: Publish) -> str:
    """Return what changes with the description of a source and of what is published from it."""
    source = "" if file.source is None else file.source.model_dump_json()
    return sha256(READING_VERSION + source.encode() + publish.model_dump_json().encode()).hexdigest()[:16]


def _plan(publish: Publish, number: int, folder: Path, faults: list[FileFault], definition: str) -> Plan:
    sheet = sheet_type(EventName(publish.type))
    place = ("publish", str(number))
    load = _loader(folder)
    rules = None
    if publish.fields is not None:
        rules = rules_of(sheet, publish.fields, (*place, "fields"), load, faults)
    changed = None if publish.changed is None else rule_of(publish.changed, (*place, "changed"), load, faults)
    return Plan(
        sheet, rules, conditions_of(publish.only), conditions_of(publish.withdrawn), changed,
        publish.vanished == "withdraw", publish.withdraw_at_most, definition,
    )  # fmt: skip


def _loader(folder: Path) -> Callable[[str], Callable[[Mapping[str, Cell]], Cell]]:
    def load(reference: str) -> Callable[[Mapping[str, Cell]], Cell]:
        name, _, function = reference.partition(":")
        path = (folder / name).resolve()
        if not name.endswith(".py") or not function:
            raise ValueError("Skriv filen og funktionen, fx mapning.py:titel.")
        spec = importlib.util.spec_from_file_location(f"kommunebro_connector_{path.stem}", path)
        if spec is None or spec.loader is None or not path.is_file():
            raise ValueError(f"Filen {path} findes ikke.")
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise ValueError(f"Filen {path} kan ikke køres: {type(error).__name__}: {error}") from error
        found = getattr(module, function, None)
        if not callable(found):
            message = f"Filen {path} har ingen funktion, der hedder {function}."
            raise ValueError(message)  # noqa: TRY004  # it is the file's fault, not a caller's type
        return found  # type: ignore[no-any-return]  # what it gives is looked at when it is read

    return load
