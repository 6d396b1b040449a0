"""What a caller is told while the log does not answer: who asked for something recorded nothing."""

import pytest

from broker_adapters.log import LogUnavailable
from exchange_gateway.log_problems import problem_of_log


@pytest.mark.parametrize("reading", [True, False])
def test_only_who_published_is_told_of_an_event(reading: bool) -> None:
    """Both may try again, and are told when."""
    problem = problem_of_log(LogUnavailable("away"), reading=reading)
    assert (problem.type.name, "event was recorded" in problem.detail) == ("log-unavailable", not reading)
    assert problem.headers["Retry-After"] == "2"
