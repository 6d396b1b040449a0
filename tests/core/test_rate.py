"""The token bucket."""

from hypothesis import given
from hypothesis import strategies as st

from exchange_gateway.core.rate import Bucket, take


@given(st.lists(st.integers(0, 3_000_000), max_size=200), st.floats(0.1, 50), st.integers(1, 20))
def test_no_more_than_burst_and_rate_get_through(steps_us: list[int], rate_per_s: float, burst: int) -> None:
    """Whatever the moments of the requests, those let through stay within burst plus rate times time."""
    bucket, now_us, passed = Bucket(burst, 0), 0, 0
    for step_us in steps_us:
        now_us += step_us
        bucket, wait_s = take(bucket, rate_per_s=rate_per_s, burst=burst, now_us=now_us)
        passed += wait_s == 0
    assert passed <= burst + rate_per_s * now_us / 1e6 + 1e-6


def test_a_clock_that_jumps_back_changes_nothing() -> None:
    """Time that runs backwards neither fills nor empties the bucket."""
    bucket, wait_s = take(Bucket(0.5, 10_000_000), rate_per_s=1, burst=5, now_us=0)
    assert bucket.tokens == 0.5
    assert wait_s == 0.5
