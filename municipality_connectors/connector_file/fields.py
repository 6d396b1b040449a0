"""The fields of a connector file: from what is written to the rules that rows are read by."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from municipality_connectors.connector_file.model import (
    LISTEN_PATTERN,
    NAME_PATTERN,
    SECTIONS,
    SYSTEM_PATTERN,
    FieldRule,
    When,
)
from municipality_connectors.mapping.cells import CellError
from municipality_connectors.mapping.plan import Plan, unprovided
from municipality_connectors.mapping.rules import Condition, Rule, folded, is_form
from municipality_connectors.mapping.sheet_types import Column, SheetType
from municipality_connectors.tables import Cell

Load = Callable[[str], Callable[[Mapping[str, Cell]], Cell]]
"""From `file.py:function` to the function. Raises `ValueError` with what is wrong, in Danish."""

CODES_SHOWN_MAX = 20
"""Of a long list of codes so many are named where one is not in it."""

RULE_KEYS = frozenset(info.alias or name for name, info in FieldRule.model_fields.items())
"""The words of a rule. A table with one of them is a rule, unless a field of ours is called so."""


class FileFault(NamedTuple):
    """What is wrong with a connector file, and where. place: the keys that lead there; message: Danish."""

    place: tuple[str, ...]
    message: str

    @property
    def where(self) -> str:
        """The place as it is written in TOML."""
        return ".".join(self.place)


def rules_of(
    sheet: SheetType, written: Mapping[str, Any], place: tuple[str, ...], load: Load, faults: list[FileFault]
) -> dict[str, Rule]:
    """Return the rules for a type's fields. What is wrong is added to `faults`."""
    known = {column.key: column for column in sheet.columns}
    rules: dict[str, Rule] = {}
    for key, value in _flat(written, (), known):
        where = (*place, *key.split("."))
        column = known.get(key)
        if column is None:
            faults.append(FileFault(where, _unknown(key, known, sheet)))
            continue
        rule = _rule(value, where, load, faults)
        if rule is not None:
            faults += [FileFault(where, message) for message in _wrong_constants(rule, column)]
            rules[key] = rule
    lacking = unprovided(Plan(sheet, rules))
    if lacking and not faults:
        listed = ", ".join(f"{column.key} ({column.title})" for column in lacking)
        faults.append(FileFault(place, f"Disse felter skal have en kolonne eller en fast værdi: {listed}."))
    return rules


def _flat(written: Mapping[str, Any], above: tuple[str, ...], known: Mapping[str, Column]) -> Iterator[tuple[str, Any]]:
    for name, value in written.items():
        path = (*above, *name.split("."))
        key = ".".join(path)
        is_rule = key in known or not isinstance(value, dict) or _is_rule(value, key, known)
        yield from [(key, value)] if is_rule else _flat(value, path, known)


def _is_rule(value: Mapping[str, Any], key: str, known: Mapping[str, Column]) -> bool:
    """Whether a table has words of a rule, of which none is the name of a field: `occupation.codes` is one."""
    fields = {f"{key}.{name}" for name in value}
    return bool(set(value) & RULE_KEYS) and not any(field in fields for field in known)


def _unknown(key: str, known: Mapping[str, Column], sheet: SheetType) -> str:
    by_title = {folded(column.title): column.key for column in known.values()}
    if folded(key) in by_title:
        return f"Skriv feltets navn: {by_title[folded(key)]}."
    near = difflib.get_close_matches(key, known, 1, 0.6) or [
        name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]
    ]
    meant = f" Mente du {near[0]}?" if near else f" Felterne er: {', '.join(known)}."
    return f"{sheet.name} har intet felt, der hedder {key}.{meant}"


def _rule(value: Any, where: tuple[str, ...], load: Load, faults: list[FileFault]) -> Rule | None:
    if isinstance(value, str):
        if not value.strip():
            faults.append(FileFault(where, "Skriv kolonnens navn, eller slet linjen."))
            return None
        return Rule(columns=(value.strip(),))
    if not isinstance(value, dict):
        message = "Skriv kolonnens navn i anførselstegn, eller en regel som { value = … } for en fast værdi."
        faults.append(FileFault(where, message))
        return None
    try:
        written = FieldRule.model_validate(value)
    except ValidationError as error:
        faults += faults_of(error, where)
        return None
    return _built(written, where, load, faults)


def rule_of(written: str | FieldRule, where: tuple[str, ...], load: Load, faults: list[FileFault]) -> Rule | None:
    """Return the rule for something that is no field of the dataset, such as the time of change."""
    return Rule(columns=(written,)) if isinstance(written, str) else _built(written, where, load, faults)


def _built(written: FieldRule, where: tuple[str, ...], load: Load, faults: list[FileFault]) -> Rule | None:
    givers = [written.python, written.from_ or None, written.template, written.value]
    message = None
    if sum(giver is not None for giver in givers) > 1:
        message = "En regel har kun én af python, from, template og value."
    elif all(giver is None for giver in (*givers, written.default)):
        message = "Reglen siger ikke, hvor værdien kommer fra: skriv from, template, value eller python."
    elif written.join is not None and len(written.from_) < 2:  # noqa: PLR2004  # joining takes two
        message = "join sætter flere kolonner sammen: skriv dem som en liste i from."
    elif written.part is not None and written.split is None:
        message = "part hører til split."
    elif written.otherwise is not None and written.codes is None:
        message = "otherwise hører til codes."
    elif written.date is not None and not is_form(written.date):
        message = f"»{written.date}« siger ikke, hvordan en dato skrives. Brug fx dd.MM.yyyy HH:mm, unix, unix-ms."
    if message is not None:
        faults.append(FileFault(where, message))
        return None
    function = None
    if written.python is not None:
        try:
            function = load(written.python)
        except ValueError as error:
            faults.append(FileFault((*where, "python"), str(error)))
            return None
    codes = written.codes
    return Rule(
        when=conditions_of(written.when), function=function, columns=tuple(written.from_), join=written.join,
        template=written.template or "", value=written.value, split=written.split or "", part=written.part,
        replace=written.replace,
        codes=None if codes is None else {folded(theirs): ours for theirs, ours in codes.items()},
        codes_shown=", ".join(list(codes or ())[:CODES_SHOWN_MAX]),
        otherwise=written.otherwise, date=written.date or "", decimal=written.decimal or "", times=written.times,
        divide_by=written.divide_by, cut=written.cut, default=written.default,
    )  # fmt: skip


def conditions_of(written: list[When]) -> tuple[Condition, ...]:
    """Return conditions as rows are held against them."""
    conditions = []
    for when in written:
        if when.is_:
            conditions.append(Condition(when.column, frozenset(map(_as_folded, when.is_))))
        if when.is_not:
            conditions.append(Condition(when.column, frozenset(map(_as_folded, when.is_not)), negated=True))
        if when.blank is not None:
            conditions.append(Condition(when.column, negated=not when.blank))
    return tuple(conditions)


def _as_folded(value: object) -> str:
    if isinstance(value, bool):
        return folded("Ja" if value else "Nej")
    # A number stands in a cell with a comma; in a text a point is a point.
    return folded(str(value).replace(".", ",") if isinstance(value, float) else str(value))


def _wrong_constants(rule: Rule, column: Column) -> Iterator[str]:
    """Say what the field itself would refuse of the values that the file gives it."""
    given = [*(rule.codes or {}).values(), rule.otherwise, rule.default, rule.value]
    if rule.codes is not None or rule.split:
        # A constant goes through the codes, too.
        given.pop()
    for value in given:
        if value is not None and not rule.date and not rule.decimal:
            try:
                column.kind.parse(value)
            except CellError as error:
                yield str(error)


def faults_of(error: ValidationError, place: tuple[str, ...] = ()) -> list[FileFault]:
    """Return what a part of the file violates, in Danish."""
    faults = []
    for row in error.errors():
        steps = [_step(step) for step in row["loc"] if not str(step).startswith("function-")]
        faults.append(FileFault((*place, *steps), _danish(row)))
    return faults


def _step(step: int | str) -> str:
    """Return a step as a person counts: the first table of a list is number 1."""
    return str(step + 1) if isinstance(step, int) else step


def _stray(row: Any) -> str:
    """Say of a key that is none which one it may be meant to be."""
    known = {info.alias or name for section in SECTIONS for name, info in section.model_fields.items()}
    near = difflib.get_close_matches(str(row["loc"][-1]), known, 1, 0.7)
    return f" Mente du {near[0]}?" if near else " Er det stavet rigtigt, og står det under den rigtige overskrift?"


_PATTERNS = {
    NAME_PATTERN: "kun a-z, 0-9 og bindestreg, højst 64 tegn.",
    SYSTEM_PATTERN: "kun A-Z, a-z, 0-9, punktum, bindestreg og understreg, højst 64 tegn.",
    LISTEN_PATTERN: "skriv vært og port, fx 127.0.0.1:8085.",
}


def _danish(row: Any) -> str:
    context = row.get("ctx", {})
    messages = {
        "missing": "Skal udfyldes.",
        "extra_forbidden": f"Kendes ikke her.{_stray(row)}",
        "literal_error": f"Kan kun være {context.get('expected', '').replace(' or ', ' eller ')}.",
        "string_type": "Skal være en tekst i anførselstegn.",
        "string_too_short": "Må ikke være tom.",
        "string_pattern_mismatch": "Har tegn, der ikke må være der: "
        + _PATTERNS.get(context.get("pattern", ""), f"det skal passe til {context.get('pattern', '')}."),
        "int_type": "Skal være et helt tal.", "int_parsing": "Skal være et helt tal, eller fx 30s, 5m, 1h.",
        "float_type": "Skal være et tal.", "float_parsing": "Skal være et tal.",
        "bool_type": "Skal være true eller false.", "bool_parsing": "Skal være true eller false.",
        "list_type": "Skal være en liste.", "dict_type": "Skal være en tabel.",
        "too_short": "Skal have mindst én.",
        "greater_than": f"Skal være over {context.get('gt')}.",
        "greater_than_equal": f"Skal være mindst {context.get('ge')}.",
        "less_than_equal": f"Må højst være {context.get('le')}.",
        "model_type": "Skal være en tabel.", "model_attributes_type": "Skal være en tabel.",
        "union_tag_invalid": f"Kan kun være {context.get('expected_tags', '')}.",
        "union_tag_not_found": "Skriv kind: hvilken slags kilde det er.",
    }  # fmt: skip
    return messages.get(row["type"], str(row["msg"]))
