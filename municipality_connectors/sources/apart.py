"""Run a generator in a process of its own, so that reading a large file leaves this one its processor."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

Given = ParamSpec("Given")
Item = TypeVar("Item")

END_TIMEOUT_S = 5.0


class EndedEarly(Exception):
    """The other process ended before it had given all: it was killed, or had no memory left."""


def apart(generate: Callable[Given, Iterator[Item]], *arguments: Given.args, **named: Given.kwargs) -> Iterator[Item]:
    """Iterate over `generate(…)`, which runs some items ahead in a process of its own.

    generate: a function of a module; it, its arguments and what it gives are pickled. Raises what it raises, and
    `EndedEarly`. The process ends with the iterator, whether that was read to its end or not.
    """
    # A fork of a process with threads may hold a lock that nobody lets go of.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_give, args=(there, generate, arguments, named), daemon=True)
    process.start()
    there.close()
    try:
        while (item := _received(here)) is not None:
            yield item
    finally:
        here.close()
        process.terminate()
        process.join(END_TIMEOUT_S)
        process.close()


def _received(here: "Connection") -> Item | None:
    try:
        found: Item | Exception | None = here.recv()
    except (EOFError, OSError):
        raise EndedEarly from None
    if isinstance(found, Exception):
        raise found
    return found


def _give(
    there: "Connection", generate: Callable[..., Iterator[Item]], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Send each item, then None; or what was raised. Whoever reads may be gone: then there is nobody to tell."""
    # Who is interrupted at the keyboard is the other process; it ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError, ConnectionResetError), there:
        try:
            for item in generate(*arguments, **named):
                there.send(item)
            there.send(None)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it is raised over there
            there.send(error)
