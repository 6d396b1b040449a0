"""Read an agreement's body: every property is understood, or the whole is refused. Pure.

Two kinds of refusal: what is wrong (`InvalidAgreement`), and what this version does not act on yet
(`NotSupportedYet`), any property that it does not know included. Null counts as left out.
"""

from collections.abc import Iterable
from typing import Any

from exchange_gateway.core.agreements.fields import NEVER_LEAVE, KnownFields, covers, escape
from exchange_gateway.core.agreements.model import Agreement, InvalidAgreement, Kind, Member, NotSupportedYet
from schemas.event import Violation, parse_time
from schemas.identifiers import ALLIANCE, OURSELVES, EventName, InvalidIdentifier, Participant

MEMBERS_MAX = 2_000
"""The national agreement has 98 members. With 2,000 the record is still far below the log's 1 MiB."""

COORDINATORS_MAX = 100
FIELDS_MAX = 500
"""Several times what any type has properties."""

NAME_CHARACTERS_MAX = 200
TEXT_CHARACTERS_MAX = 2_000
"""The purpose and the legal basis are a few sentences."""

NOTHING_DELAYED = "PT0S"
_NAMES = tuple(name.value for name in EventName)
_TOP = ("id", "name", "kind", "purpose", "legalBasis", "validFrom", "coordinators", "members", "shares")


class _Findings:
    """Collects everything that is wrong, so that a coordinator sees all of it at once."""

    def __init__(self) -> None:
        self.invalid: list[Violation] = []
        self.not_yet: list[Violation] = []

    def wrong(self, pointer: str, rule: str, detail: str, expected: Any = None) -> None:
        self.invalid.append(Violation(pointer, rule, detail, expected))

    def unsupported(self, pointer: str, detail: str) -> None:
        self.not_yet.append(Violation(pointer, "not-supported-yet", detail))

    def refuse(self) -> None:
        """Raise when anything was found; what is wrong goes before what is not supported."""
        if self.invalid:
            raise InvalidAgreement(_summary("The agreement is not valid", self.invalid), tuple(self.invalid))
        if self.not_yet:
            raise NotSupportedYet(_summary("The agreement asks for what is not supported yet", self.not_yet),
                                  tuple(self.not_yet))  # fmt: skip


def _summary(what: str, violations: list[Violation]) -> str:
    first = violations[0]
    more = f" And {len(violations) - 1} more." if len(violations) > 1 else ""
    return f"{what}: at {first.pointer or 'its root'}: {first.detail}{more}"


def parse_agreement(body: Any, fields: KnownFields | None = None) -> Agreement:
    """Read one agreement. Raises `InvalidAgreement` or `NotSupportedYet`.

    fields: the pointers that exist, to check the lists against; None for one that was accepted before.
    """
    findings = _Findings()
    if not isinstance(body, dict):
        findings.wrong("", "type", "An agreement is a JSON object.", "object")
        findings.refuse()
    _only(findings, body, "", _TOP)
    agreement = Agreement(
        id=_identifier(findings, body),
        name=_text(findings, body, "/name", NAME_CHARACTERS_MAX, required=True),
        kind=_kind(findings, body),
        valid_from_us=_valid_from(findings, body),
        coordinators=_coordinators(findings, body),
        members={member.participant: member for member in _members(findings, body)},
        shares=_shares(findings, body, fields),
    )
    for name in ("purpose", "legalBasis"):
        _text(findings, body, "/" + name, TEXT_CHARACTERS_MAX)
    findings.refuse()
    return agreement


def _only(findings: _Findings, value: dict[str, Any], pointer: str, known: Iterable[str]) -> None:
    """Refuse every property but the known ones; one that is null says nothing, and is left out."""
    for name, item in value.items():
        if name not in known and item is not None:
            findings.unsupported(
                f"{pointer}/{escape(name)[:64]}",
                f"The software does not act on {name[:64]!r}. Leave it out; it is not ignored, since others would "
                "rely on it.",
            )


def _text(
    findings: _Findings, value: dict[str, Any], pointer: str, characters_max: int, *, required: bool = False
) -> str:
    text = value.get(pointer.rsplit("/", 1)[1])
    if text is None and not required:
        return ""
    if not isinstance(text, str) or len(text) > characters_max or (required and not text.strip()):
        findings.wrong(pointer, "type", f"A text of up to {characters_max} characters is needed.", "string")
        return ""
    return text


def _identifier(findings: _Findings, body: dict[str, Any]) -> str:
    value = body.get("id")
    if not isinstance(value, str) or not ALLIANCE.fullmatch(value):
        findings.wrong("/id", "pattern", "An id has 1 to 64 of a-z, 0-9 and '-'.", ALLIANCE.pattern)
        return ""
    return value


def _kind(findings: _Findings, body: dict[str, Any]) -> Kind:
    kinds = [kind.value for kind in Kind]
    if body.get("kind") not in kinds:
        findings.wrong("/kind", "enum", f"The kind is one of {', '.join(kinds)}.", kinds)
        return Kind.LOCAL
    return Kind(body["kind"])


def _valid_from(findings: _Findings, body: dict[str, Any]) -> int:
    value = body.get("validFrom")
    try:
        return parse_time(value if isinstance(value, str) else "")
    except InvalidIdentifier as error:
        findings.wrong("/validFrom", "format", str(error), "date-time")
        return 0


def _participant(findings: _Findings, value: Any, pointer: str) -> str | None:
    try:
        participant = Participant(value if isinstance(value, str) else "")
    except InvalidIdentifier as error:
        findings.wrong(pointer, "pattern", str(error))
        return None
    if participant == OURSELVES:
        findings.wrong(pointer, "pattern", f"{OURSELVES!r} is the name that the infrastructure itself uses.")
        return None
    return str(participant)


def _list(findings: _Findings, value: Any, pointer: str, items_max: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > items_max:
        findings.wrong(pointer, "type", f"A list of up to {items_max} items is needed.", "array")
        return []
    return value


def _coordinators(findings: _Findings, body: dict[str, Any]) -> tuple[str, ...]:
    """Read who may change the agreement; with an empty list only an operator may."""
    listed = _list(findings, body.get("coordinators"), "/coordinators", COORDINATORS_MAX)
    found: list[str] = []
    for index, value in enumerate(listed):
        participant = _participant(findings, value, f"/coordinators/{index}")
        if participant in found:
            findings.wrong(f"/coordinators/{index}", "uniqueItems", f"{participant} is listed twice.")
        elif participant is not None:
            found.append(participant)
    return tuple(found)


def _members(findings: _Findings, body: dict[str, Any]) -> list[Member]:
    found: dict[str, Member] = {}
    listed = _list(findings, body.get("members"), "/members", MEMBERS_MAX)
    if body.get("members") == []:
        findings.wrong("/members", "minItems", "An agreement has at least one member.", 1)
    for index, value in enumerate(listed):
        pointer = f"/members/{index}"
        member = _member(findings, value, pointer)
        if member is not None and member.participant in found:
            findings.wrong(pointer + "/participant", "uniqueItems", f"{member.participant} is a member already.")
        elif member is not None:
            found[member.participant] = member
    return list(found.values())


def _member(findings: _Findings, value: Any, pointer: str) -> Member | None:
    if not isinstance(value, dict):
        findings.wrong(pointer, "type", "A member is an object.", "object")
        return None
    _only(findings, value, pointer, ("participant", "name", "publishes", "reads"))
    participant = _participant(findings, value.get("participant"), pointer + "/participant")
    name = _text(findings, value, pointer + "/name", NAME_CHARACTERS_MAX)
    publishes = _names(findings, value.get("publishes"), pointer + "/publishes")
    reads = _names(findings, value.get("reads"), pointer + "/reads")
    return None if participant is None else Member(participant, name, publishes, reads)


def _names(findings: _Findings, value: Any, pointer: str) -> frozenset[str] | None:
    """Read a list of types; left out means all that the agreement shares."""
    if value is None:
        return None
    found: set[str] = set()
    for index, name in enumerate(_list(findings, value, pointer, len(_NAMES))):
        if name not in _NAMES:
            findings.wrong(f"{pointer}/{index}", "enum", f"A type is one of {', '.join(_NAMES)}.", list(_NAMES))
        elif name in found:
            findings.wrong(f"{pointer}/{index}", "uniqueItems", f"{name} is listed twice.")
        else:
            found.add(name)
    return frozenset(found)


def _shares(findings: _Findings, body: dict[str, Any], fields: KnownFields | None) -> dict[str, tuple[str, ...] | None]:
    value = body.get("shares")
    if not isinstance(value, dict):
        findings.wrong("/shares", "type", "An object with the types that are shared is needed.", "object")
        return {}
    found: dict[str, tuple[str, ...] | None] = {}
    for name, rule in value.items():
        pointer = f"/shares/{escape(name)[:64]}"
        if name not in _NAMES:
            findings.wrong(pointer, "enum", f"A type is one of {', '.join(_NAMES)}.", list(_NAMES))
        elif not isinstance(rule, dict):
            findings.wrong(pointer, "type", "An object is needed; {} shares what is shared by default.", "object")
        else:
            _only(findings, rule, pointer, ("fields", "delay"))
            if rule.get("delay") not in (None, NOTHING_DELAYED):
                findings.unsupported(
                    pointer + "/delay", f"Nothing can be delayed yet: leave it out, or {NOTHING_DELAYED}."
                )
            known = None if fields is None else fields[name]
            found[name] = _fields(findings, rule.get("fields"), pointer + "/fields", known)
    return found


def _fields(findings: _Findings, value: Any, pointer: str, known: frozenset[str] | None) -> tuple[str, ...] | None:
    """Read a list of JSON Pointers; left out means the default."""
    if value is None:
        return None
    found: list[str] = []
    for index, field in enumerate(_list(findings, value, pointer, FIELDS_MAX)):
        wrong = _wrong_with_field(field, known, found)
        if wrong is None:
            found.append(field)
        else:
            findings.wrong(f"{pointer}/{index}", *wrong)
    return tuple(found)


def _wrong_with_field(field: Any, known: frozenset[str] | None, before: list[str]) -> tuple[str, str] | None:
    """Say which rule a listed field breaks, and how; None when it is right."""
    if not isinstance(field, str):
        return "type", "A field is a JSON Pointer into data, such as /company/name."
    if any(covers(never, field) for never in NEVER_LEAVE):
        return "never-shared", f"{field[:128]} never leaves the publisher; no agreement can list it."
    if known is not None and field not in known:
        return "unknown-field", (
            f"The schema has no {field[:128]!r}. A field is a JSON Pointer into data, such as /company/name; "
            "it passes through a list without a number."
        )
    if field in before:
        return "uniqueItems", f"{field[:128]} is listed twice."
    return None
