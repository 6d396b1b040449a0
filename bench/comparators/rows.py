"""The bare rows: a loop over the SQLite file that joins the values as they are; prints records and seconds as JSON."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import apsw

from broker_adapters.embedded.database import Storage, connect_reader

CHUNK_BYTES = 256 * 1024
DATABASE = "log.sqlite3"


def read(connection: apsw.Connection) -> tuple[int, float]:
    """Return how many published records the file holds, and the seconds that reading them all took."""
    topics: list[Any] = connection.execute("SELECT id FROM topic WHERE name LIKE 'pub.%' ORDER BY name").fetchall()
    started = time.perf_counter()
    counted = 0
    row: Any
    values: list[bytes] = []
    size_bytes = 0
    for (topic,) in topics:
        for row in connection.execute(
            "SELECT id, recorded_at, value FROM record WHERE id >= ? << 40 AND id < ? << 40", (topic, topic + 1)
        ):
            value = row[2]
            counted += 1
            values.append(value)
            size_bytes += len(value)
            if size_bytes >= CHUNK_BYTES:
                b"\n".join(values)
                values, size_bytes = [], 0
    return counted, time.perf_counter() - started


def main() -> None:
    """Read everything once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    connection = connect_reader(Storage(parser.parse_args().data / DATABASE))
    records, seconds = read(connection)
    connection.close()
    print(json.dumps({"records": records, "seconds": seconds}))


if __name__ == "__main__":
    main()
