"""Whether what was acknowledged is what is stored: by ids, each once, never by offsets or status codes."""

from collections import Counter
from collections.abc import Iterable

from bench.events import Requests


class CountsWrong(Exception):
    """A server refused what it should take in, lost what it acknowledged, or has what it didn't acknowledge."""


def expected_ids(requests: Requests, acknowledged: Iterable[int]) -> set[str]:
    """Return the ids of the events in acknowledged requests."""
    ident = requests.template.ident
    return {ident(number).decode() for request in acknowledged for number in requests.numbers(request)}


def compare(where: str, expected: set[str], stored: Iterable[str]) -> int:
    """Return how many events are stored as expected. Raises `CountsWrong`."""
    counted = Counter(stored)
    missing = len(expected - counted.keys())
    unexpected = len(counted.keys() - expected)
    twice = sum(1 for times in counted.values() if times > 1)
    if missing or unexpected or twice:
        raise CountsWrong(
            f"{where}: of {len(expected)} acknowledged events {missing} are missing and {twice} are stored more "
            f"than once; {unexpected} are stored but were not acknowledged. The figure means nothing."
        )
    return len(counted)
