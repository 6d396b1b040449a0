"""A gateway with the alliances, for clients in other languages."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import httpx
import pytest

from schemas.packaged import examples
from tests.processes import Served, bearer, load_alliances, serving

_numbers = count(1)


@dataclass
class Desk:
    """A gateway, its description in a file, and who speaks to it."""

    served: Served
    description: Path
    struer: str
    herning: str

    def order(self, folder: Path) -> tuple[Path, str]:
        """Write an order of Struer's that is new; return its file and its id."""
        event = copy.deepcopy(examples("job-order")["struer-klejnsmede-aaben"])
        event["subject"] = event["data"]["jobOrderId"] = f"klejnsmed-{next(_numbers)}"
        event |= {"id": f"{event['subject']}-1", "time": datetime.now(UTC).isoformat()}
        file = folder / "order.json"
        file.write_text(json.dumps(event))
        return file, event["subject"]


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("clients")
    with serving(folder / "data") as served:
        load_alliances(served)
        description = folder / "openapi.json"
        description.write_text(httpx.get(f"{served.url}/openapi.json").text)
        tokens = (bearer(served.data, "0671", "publisher"), bearer(served.data, "0657", "reader"))
        yield Desk(served, description, *(one["Authorization"].removeprefix("Bearer ") for one in tokens))


def journey(subject: str) -> str:
    """Return what a client says that came all the way."""
    return "\n".join(
        (
            "published 201",
            f"received {subject} in vestalliancen",
            "title 3 klejnsmede/svejsere til staldinventar",
            "left 0",
            "listed true",
            "refused 422 /problems/schema-violation /data/positions",
            "",
        )
    )
