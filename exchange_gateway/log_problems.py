"""What the log's errors are told as, over HTTP and for each event of a batch."""

from broker_adapters.log import LogDamaged, LogError, LogFull
from exchange_gateway.problems import Problem

RETRY_AFTER_S = 2
"""What a publisher is told to wait when the log does not answer."""


def unavailable(detail: str) -> Problem:
    """Return the problem of an append whose outcome nobody knows."""
    return Problem(
        "log-unavailable",
        f"{detail} Whether the event was recorded is not known; send the same again, which is safe.",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def problem_of_log(error: BaseException, *, reading: bool = False) -> Problem:
    """Turn the log's error into what a caller is told. One that no table knows stays an error.

    reading: whether the caller asked for something, and so recorded nothing.
    """
    if isinstance(error, Problem):
        return error
    retry = {"Retry-After": str(RETRY_AFTER_S)}
    if isinstance(error, LogDamaged):
        return Problem("log-damaged", "The log's file is damaged; nothing was recorded. The operator has to act.")
    if isinstance(error, LogFull) and not error.outcome_unknown:
        return Problem("insufficient-storage", "The disk is full; nothing was recorded.", headers=retry)
    if reading and isinstance(error, LogError | TimeoutError):
        return Problem("log-unavailable", "The log does not answer. Ask again in a moment.", headers=retry)
    if isinstance(error, LogError | TimeoutError):
        return unavailable("The log does not answer.")
    return Problem("internal", "An unexpected fault while recording; it is logged.")
