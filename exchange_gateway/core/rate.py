"""How often somebody may ask: a token bucket. Pure."""

from typing import NamedTuple


class Bucket(NamedTuple):
    """tokens: how many requests may come at once now. filled_us: when that was worked out, in µs since 1970."""

    tokens: float
    filled_us: int


def take(bucket: Bucket, *, rate_per_s: float, burst: int, now_us: int) -> tuple[Bucket, float]:
    """Take one request out of the bucket.

    Returns the bucket as it is then, and the seconds to wait: 0.0 where the request may go on. A clock
    that jumped back fills nothing and empties nothing.
    """
    elapsed_s = max(0, now_us - bucket.filled_us) / 1e6
    tokens = min(float(burst), bucket.tokens + elapsed_s * rate_per_s)
    if tokens >= 1:
        return Bucket(tokens - 1, now_us), 0.0
    return Bucket(tokens, now_us), (1 - tokens) / rate_per_s
