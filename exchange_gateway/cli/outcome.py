"""How a verb ends: 0 done, 1 the input is bad, 2 usage, 3 the gateway, log or data folder can't be had."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class Exit(IntEnum):
    """The exit statuses."""

    DONE = 0
    BAD_INPUT = 1
    USAGE = 2
    UNAVAILABLE = 3


class Failed(Exception):
    """Ends the verb with a status and one message that says what to do."""

    def __init__(self, status: Exit, message: str) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def failing_well() -> Iterator[None]:
    """Turn what went wrong below into one message on standard error and the right exit status."""
    try:
        yield
    except Failed as error:
        _end(error.status, str(error))
    except KeyboardInterrupt:
        _end(Exit.UNAVAILABLE, "Interrupted.")
    except BrokenPipeError:
        # Whoever read our output has seen enough, as in `kommunebro replay | head`.
        sys.stderr.close()
        sys.exit(Exit.DONE)
    except Exception as error:
        status = _status_of(error)
        if status is None:
            raise
        _end(status, str(error))


def _status_of(error: Exception) -> Exit | None:
    """Return the status of the errors that the packages below raise on purpose."""
    # Imported here: most runs end well, and these modules take their time.
    from broker_adapters.log import LogError  # noqa: PLC0415
    from exchange_gateway.instance import AnotherInstance  # noqa: PLC0415
    from exchange_gateway.keys import KeysUnusable  # noqa: PLC0415
    from exchange_gateway.serving import PortInUse  # noqa: PLC0415
    from schemas.identifiers import InvalidIdentifier  # noqa: PLC0415

    if isinstance(error, LogError | AnotherInstance | KeysUnusable | PortInUse):
        return Exit.UNAVAILABLE
    return Exit.USAGE if isinstance(error, InvalidIdentifier) else None


def _end(status: Exit, message: str) -> None:
    print(f"kommunebro: {message}", file=sys.stderr)  # noqa: T201  # this is the command line
    sys.exit(status)
