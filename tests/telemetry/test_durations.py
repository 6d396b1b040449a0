"""The histogram that counts many events at once counts as one that is told of each."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from exchange_gateway.telemetry import WAY_BUCKETS_S, Durations

NOW_S = 1_795_000_000.0

# Sixty-fourths of a second are exact in binary, and fall onto some of the bounds.
AGES_S = st.integers(-64, 64 * 90_000).map(lambda ticks: ticks / 64) | st.sampled_from(
    [bound for bound in WAY_BUCKETS_S if float(bound * 64).is_integer()]
)


def counted(durations: Durations) -> dict[tuple[Any, ...], float]:
    (family,) = durations.collect()
    return {(one.name, *one.labels.values()): one.value for one in family.samples}


@given(st.lists(AGES_S, max_size=40), st.lists(AGES_S, max_size=40))
def test_many_at_once_are_counted_as_each(first: list[float], second: list[float]) -> None:
    """In whatever order, in one call or two, and from a clock that jumped."""
    at_once = Durations("way", "A way.", CollectorRegistry(), "door")
    each = Durations("way", "A way.", CollectorRegistry(), "door")
    for ages in (first, second):
        at_once.add_since([NOW_S - age for age in ages], NOW_S, label="pull")
        for age in ages:
            each.add(age, label="pull")
    assert counted(at_once) == counted(each)
