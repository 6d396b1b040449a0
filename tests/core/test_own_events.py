"""Whose an event is, asked in two ways."""

from hypothesis import example, given
from hypothesis import strategies as st

from broker_adapters.log import Record
from exchange_gateway.core.subscriptions import is_of, owner_of, owner_prefix

PARTICIPANTS = st.sampled_from(["0671", "0657", "06", "067", "drift"])


@given(
    st.binary(max_size=12) | st.none() | PARTICIPANTS.map(lambda one: f"{one}/2026-1".encode()), st.sets(PARTICIPANTS)
)
@example(b"0671", {"0671"})
@example(b"0671x/1", {"0671"})
def test_an_event_is_its_owners(key: bytes | None, own: set[str]) -> None:
    """By the key's part before the first slash, whole."""
    record = Record("alliance.vest.job-order", 0, 0, key, b"")
    assert is_of(record, tuple(map(owner_prefix, own))) == (owner_of(record) in own)
