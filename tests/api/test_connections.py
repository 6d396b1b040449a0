"""Who makes room for newcomers when all places are taken."""

import asyncio

import pytest

from exchange_gateway.api import connections as connections_module
from exchange_gateway.api.connections import LAST_TURNS, Connections
from exchange_gateway.settings import Limits


class Caller:
    """A connection that knows whether it was closed."""

    def __init__(self, connections: Connections) -> None:
        self.is_closed = False
        self.refused = connections.opened(self)

    def give_up(self) -> None:
        self.is_closed = True


async def some_turns() -> None:
    for _ in range(LAST_TURNS + 1):
        await asyncio.sleep(0)


async def test_the_oldest_that_asked_nothing_makes_room() -> None:
    """One after another; those that asked for something stay, and count."""
    connections = Connections(Limits(connections_max=3))
    callers = [Caller(connections) for _ in range(3)]
    connections.busy(callers[0])
    callers += [Caller(connections) for _ in range(2)]
    await some_turns()
    assert [caller.is_closed for caller in callers] == [False, True, True, False, False]
    assert len(connections) == 3


async def test_a_request_that_was_not_read_yet_keeps_its_connection() -> None:
    """In a rush hundreds of connections are taken before anything is read of the first."""
    connections = Connections(Limits(connections_max=2))
    first, second, _ = (Caller(connections) for _ in range(3))
    connections.busy(first)
    await some_turns()
    assert not first.is_closed
    assert second.is_closed
    assert len(connections) == 2


async def test_no_rush_takes_more_places_than_there_are() -> None:
    """Where nobody is idle any more, whose request comes while it leaves has to leave all the same."""
    connections = Connections(Limits(connections_max=2))
    callers = [Caller(connections) for _ in range(4)]
    for caller in reversed(callers):
        connections.busy(caller)
    await some_turns()
    assert [caller.is_closed for caller in callers] == [True, True, False, False]
    assert len(connections) == 2


async def test_one_that_closed_itself_is_forgotten() -> None:
    """It may go while it makes room."""
    connections = Connections(Limits(connections_max=1))
    first, second = Caller(connections), Caller(connections)
    connections.closed(first)
    await some_turns()
    assert not first.is_closed
    assert not second.is_closed
    assert len(connections) == 1


async def test_where_all_are_busy_a_newcomer_is_told_so() -> None:
    """Nobody's request is cut off for another's."""
    connections = Connections(Limits(connections_max=1))
    first = Caller(connections)
    connections.busy(first)
    refused = Caller(connections).refused
    assert refused is not None
    assert refused.type.name == "too-many-connections"
    assert len(connections) == 1


@pytest.mark.parametrize(("waited", "first_goes"), [(False, True), (True, False)])
async def test_who_just_came_is_not_taken_for_one_that_asks_nothing(
    monkeypatch: pytest.MonkeyPatch, waited: bool, first_goes: bool
) -> None:
    """A newcomer's request is on its way; only after a while it leaves before those that have asked something."""
    monkeypatch.setattr(connections_module, "YOUNG_S", 0.05)
    connections = Connections(Limits(connections_max=2))
    asked = Caller(connections)
    connections.busy(asked)
    connections.idle(asked)
    await asyncio.sleep(0.01)
    silent = Caller(connections)
    await asyncio.sleep(0.06 if waited else 0)
    Caller(connections)
    await some_turns()
    assert (asked.is_closed, silent.is_closed) == (first_goes, not first_goes)
