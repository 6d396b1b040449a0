"""Hypothesis strategies: instances of a schema, right ones and ones with something done to them."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from schemas.tree import Schema, resolved

# What breaks validators apart: numbers that are whole but floats, booleans that are numbers to Python, line
# breaks before which `$` matches, digits that are not ASCII, dates that are nearly right.
HOSTILE: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 3, 3.0, 0.5, 12.0, -0.0, 1e300, 2**53),
        *("", " ", "\n", "0671\n", "\u0660\u0666\u0667\u0661", "93100018", "93100018\n", "Åben", "open\n", "\u0000"),
        *("2026-02-29", "2024-02-29", "2026-11-23\n", "0000-01-01", "2026-1-3", "2026-11-23T08:05:00"),
        *("2026-11-23T08:05:00Z", "2026-12-31T23:59:60Z", "2026-11-23t08:05:00.1z", "2026-11-23T24:00:00Z"),
        *("x" * 100, "x" * 101, "x" * 500, "x" * 501, "😀" * 100, "😀" * 101),
        *([], {}, [[]], [None], {"": 0}),
    ]
)
_TIMES = st.datetimes().map(lambda time: time.isoformat(timespec="milliseconds") + "+01:00")
_FORMATS = {"date": st.dates().map(str), "date-time": _TIMES}


def instances(root: Schema, node: Any = None) -> st.SearchStrategy[Any]:
    """Return right instances of a schema that uses no more keywords than ours do."""
    here = resolved(root, root if node is None else node)
    if "enum" in here:
        return st.sampled_from(here["enum"])
    makers: dict[str, Callable[[Schema, Schema], st.SearchStrategy[Any]]] = {
        "object": _objects,
        "array": lambda root, here: st.lists(
            instances(root, here["items"]), min_size=here.get("minItems", 0), max_size=3
        ),
        "string": lambda _, here: _texts(here),
        "integer": lambda _, here: st.integers(here.get("minimum"), here.get("minimum", 0) + 2**53 - 1),
        "number": lambda _, here: st.floats(here.get("minimum"), 1e9) | st.integers(0, 100),
        "boolean": lambda _, __: st.booleans(),
    }
    return makers[here["type"]](root, here)


def _objects(root: Schema, here: Schema) -> st.SearchStrategy[dict[str, Any]]:
    children = {name: instances(root, child) for name, child in here["properties"].items()}
    required = [*here.get("required", ()), *(branch["required"][0] for branch in here.get("anyOf", [])[:1])]
    optional = {name: child for name, child in children.items() if name not in required}
    return st.fixed_dictionaries({name: children[name] for name in required}, optional=optional)


def _texts(here: Schema) -> st.SearchStrategy[str]:
    if "pattern" in here:
        return st.from_regex(here["pattern"].replace("$", r"\Z"))
    formats = [here.get("format"), *(branch.get("format") for branch in here.get("anyOf", []))]
    known = [_FORMATS[name] for name in formats if name]
    return st.one_of(known) if known else st.text(max_size=min(here.get("maxLength", 20), 20))


@st.composite
def mutated(draw: st.DrawFn, base: st.SearchStrategy[Any]) -> Any:
    """Return an instance with one to three things in it replaced, taken away or added."""
    value = deepcopy(draw(base))
    for _ in range(draw(st.integers(1, 3))):
        value = _mutate(draw, value)
    return value


def _mutate(draw: Callable[[st.SearchStrategy[Any]], Any], value: Any) -> Any:
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: _mutate(draw, value[name])}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], _mutate(draw, value[index]), *value[index + 1 :]]
    if isinstance(value, dict) and draw(st.booleans()):
        if value and draw(st.booleans()):
            gone = draw(st.sampled_from(sorted(value)))
            return {name: item for name, item in value.items() if name != gone}
        return {**value, draw(st.text(max_size=3) | st.just("title")): draw(HOSTILE)}
    return draw(HOSTILE)
