"""G9, short form, on both logs."""

import json
import random
from pathlib import Path
from uuid import uuid4

import pytest

from tests.faults.gateway import bad_input
from tests.support import a_clock, a_gateway


@pytest.mark.parametrize("log", ["embedded", "kafka"])
async def test_whatever_comes_is_answered_with_an_explanation(
    tmp_path: Path, log: str, request: pytest.FixtureRequest
) -> None:
    """Two thousand damaged requests: no 5xx, every refusal a problem, and a good event is taken afterwards."""
    changes = {}
    if log == "kafka":
        changes = {
            "kafka_bootstrap": request.getfixturevalue("kafka_bootstrap"),
            "kafka": {"prefix": f"{uuid4().hex[:8]}-"},
        }
    async with a_gateway(tmp_path, a_clock(), **changes) as (gateway, client):
        statuses = await bad_input.run(gateway, client, 2_000 if log == "embedded" else 500, seed=7)
    # The control: the damage is real, and so are the events that it leaves whole.
    assert statuses[422] > 50
    assert statuses[400] > 50
    assert statuses[200] + statuses[201] > 50


def test_damage_is_drawn_anew_each_time() -> None:
    """However long a campaign lasts, what is put in stays what it was, and an event never holds itself."""
    before = repr(bad_input.HOSTILE)
    for seed in range(20_000):
        json.dumps(bad_input.damaged_event(random.Random(seed)))
    assert repr(bad_input.HOSTILE) == before
