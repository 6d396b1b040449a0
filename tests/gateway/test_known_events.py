"""The index of known events: what it finds, and that it outlives a restart."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_gateway import known_events
from exchange_gateway.known_events import Known, KnownEvents, known_key

SECRET = b"secret"


def key(number: int) -> int:
    return known_key("urn:kommunebro:0671:opera", str(number), SECRET)


def opened(folder: Path, instance: str = "one") -> KnownEvents:
    index = KnownEvents(folder, instance)
    index.open()
    return index


async def test_it_finds_what_was_added_and_nothing_else(tmp_path: Path) -> None:
    """An event is found at its place; one that never came is not."""
    index = opened(tmp_path)
    index.add(key(1), Known("pub.0671.visit", 7, 99))
    assert index.find([key(1), key(2)]) == {key(1): Known("pub.0671.visit", 7, 99)}
    await index.close()


async def test_of_two_with_one_key_the_first_in_the_log_counts(tmp_path: Path) -> None:
    """A second copy that another gateway left changes nothing, in whatever order they are read."""
    index = opened(tmp_path)
    for offset in (5, 3, 9):
        index.add(key(1), Known("pub.0671.visit", offset, offset))
    assert index.find([key(1)])[key(1)].offset == 3
    await index.close()


async def test_a_restart_knows_what_was_known(tmp_path: Path) -> None:
    """After a close everything is in the file, with how far it reaches."""
    index = opened(tmp_path)
    index.add(key(1), Known("pub.0671.visit", 0, 99))
    index.advance("pub.0671.visit", 0, 1)
    await index.close()
    again = opened(tmp_path)
    assert again.find([key(1)]) == {key(1): Known("pub.0671.visit", 0, 99)}
    assert again.positions == {"pub.0671.visit": 1}
    await again.close()


async def test_a_gap_is_left_to_be_read(tmp_path: Path) -> None:
    """Where something stands between, the position does not jump over it."""
    index = opened(tmp_path)
    index.advance("pub.0671.visit", 0, 3)
    index.advance("pub.0671.visit", 5, 9)
    assert index.positions == {"pub.0671.visit": 3}
    await index.close()


@pytest.mark.parametrize("damage", [b"not a database", b""])
async def test_a_damaged_file_is_begun_anew(tmp_path: Path, damage: bytes) -> None:
    """The log is the truth; a file that cannot be read costs time only."""
    (tmp_path / known_events.FILE_NAME).write_bytes(damage)
    index = opened(tmp_path)
    assert index.find([key(1)]) == {}
    assert index.positions == {}
    await index.close()


async def test_another_instances_file_is_begun_anew(tmp_path: Path) -> None:
    """A folder that served another log must not make its events look known."""
    first = opened(tmp_path, "one")
    first.add(key(1), Known("pub.0671.visit", 0, 99))
    await first.close()
    second = opened(tmp_path, "two")
    assert second.find([key(1)]) == {}
    await second.close()


async def test_a_full_generation_moves_to_the_file_and_stays_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While and after ids move from memory to the file, every one of them is found."""
    monkeypatch.setattr(known_events, "GENERATION_EVENTS", 2_000)
    index = opened(tmp_path)
    for number in range(5_000):
        index.add(key(number), Known("pub.0671.visit", number, number))
        index.advance("pub.0671.visit", number, number + 1)
        if number % 500 == 0:
            assert len(index.find(key(n) for n in range(0, number + 1, 97))) == number // 97 + 1
            await asyncio.sleep(0.005)
    found = index.find(key(number) for number in range(5_000))
    assert {known.offset for known in found.values()} == set(range(5_000))
    await index.close()


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2**40 - 1), st.integers(0, 2**60 - 1)), max_size=50))
def test_packing_loses_nothing(entries: list[tuple[int, int, int]]) -> None:
    """Topic, offset and digest come back as they were, at every size that they can have."""
    index = KnownEvents(Path("unused"), "one")
    for number, offset, content in entries:
        known = Known(f"pub.{number:04}.visit", offset, content)
        assert index._unpack(index._pack(known)) == known
