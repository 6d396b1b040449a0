"""Where a thing stands at the gateway, when our memory of it is lost or somebody else published it.

A number that is taken by other content (a conflict) means that our memory is behind. The gateway's
`:validate` then tells, without recording anything, which numbers are taken and at what time the newest
was published; the same event with that time is a duplicate exactly when its content is ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kommunebro import Result
from municipality_connectors.mapping.changes import Thing
from schemas.event import parse_time
from schemas.identifiers import InvalidIdentifier

NUMBERS_MAX = 100_000
"""As many states of one thing are looked through; an hourly change for ten years makes fewer."""

Build = Callable[[int, int], bytes]
"""From a number and a time (in UTC microseconds) to the event's bytes, all else being the row's."""


class Standing(NamedTuple):
    """The newest number that is taken, its time, and whether it has our content."""

    revision: int
    time_us: int
    same: bool


@dataclass(slots=True)
class _Question:
    build: Build
    taken: int
    time_us: int | None = None


def find_standings(
    validate: Callable[[list[bytes]], Sequence[Result]], behind: Sequence[tuple[Build, Thing]]
) -> list[Standing]:
    """Return where each thing stands. behind: how to build its event, and the number that was found taken."""
    questions = [_Question(build, thing.revision) for build, thing in behind]
    _find_newest(validate, questions, behind)
    events = [question.build(question.taken, question.time_us or 0) for question in questions]
    return [
        Standing(question.taken, question.time_us or 0, result.status == "duplicate" and question.time_us is not None)
        for question, result in zip(questions, validate(events), strict=True)
    ]


def _find_newest(
    validate: Callable[[list[bytes]], Sequence[Result]],
    questions: Sequence[_Question],
    behind: Sequence[tuple[Build, Thing]],
) -> None:
    """Ask for one number after another until one is free; most often the second is."""
    open_questions = [
        (question, question.taken, thing.time_us) for question, (_, thing) in zip(questions, behind, strict=True)
    ]
    while open_questions:
        results = validate([question.build(number, time_us) for question, number, time_us in open_questions])
        still_open = []
        for (question, number, time_us), result in zip(open_questions, results, strict=True):
            if _is_taken(result) and number < NUMBERS_MAX:
                question.taken = number
                question.time_us = time_us if result.status == "duplicate" else _recorded_time(result)
                still_open.append((question, number + 1, time_us))
        open_questions = still_open


def _is_taken(result: Result) -> bool:
    return result.status == "duplicate" or result.problem_name == "conflict"


def _recorded_time(result: Result) -> int | None:
    try:
        return parse_time(str(result.problem.get("time")))
    except InvalidIdentifier:
        return None
