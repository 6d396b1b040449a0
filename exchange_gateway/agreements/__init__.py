"""The agreements that ship with Kommunebro: the seven alliances of KL's survey, and `national`.

Who is a member is a starting point: coordinators change it while the system runs.
"""

from importlib.resources import files
from typing import Any

import orjson


def packaged_agreements() -> list[dict[str, Any]]:
    """Return the bodies of the agreements that ship with Kommunebro, by file name."""
    folder = files(__name__)
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json"))
    return [orjson.loads(folder.joinpath(name).read_bytes()) for name in names]
