"""Look at the log's file without opening the log: no lock, no recovery, no file made."""

from pathlib import Path
from typing import NamedTuple

import apsw

from broker_adapters.embedded.database import (
    BUSY_MS,
    DATABASE,
    FORMAT,
    OFFSET_BITS,
    as_log_error,
    fetch,
    let_go,
    write_ahead_log,
)
from broker_adapters.log import LogFolderUnusable


class Inspected(NamedTuple):
    """What the file holds.

    first_ms, last_ms: when its first and its newest record were recorded, UTC milliseconds; None in an empty log.
    waiting_bytes: how much the process before left in the write-ahead log, which the next start takes in; 0 while
    one runs, since then everything can be read. control: the newest value of each `control` topic with a record.
    """

    path: Path
    size_bytes: int
    first_ms: int | None
    last_ms: int | None
    waiting_bytes: int
    control: dict[str, bytes]


def inspect(folder: Path, *, running: bool) -> Inspected | None:
    """Return what is in a folder's log, None where there is none. running: whether a process has it open.

    Raises a `LogError` for a file that cannot be read, is damaged, or is newer than this program.
    """
    path = folder / DATABASE
    if not path.exists():
        return None
    waiting = 0 if running else _size_of(write_ahead_log(path))
    # Nobody writes it: so it is read as it lies there, without SQLite's own locks and the files that go with them.
    way = "mode=ro" if running else "mode=ro&immutable=1"
    try:
        connection = apsw.Connection(
            f"{path.absolute().as_uri()}?{way}", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
    except apsw.Error as error:
        raise as_log_error(error, path) from error
    try:
        connection.set_busy_timeout(BUSY_MS)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        found = fetch(connection, "PRAGMA user_version")[0][0]
        if found not in (0, FORMAT):
            raise LogFolderUnusable(f"{path} has layout {found}; this version of Kommunebro knows only {FORMAT}.")
        topics = fetch(connection, "SELECT id, name FROM topic") if found else []
        newest = {name: row for topic, name in topics if (row := _newest(connection, topic)) is not None}
        first = fetch(connection, "SELECT recorded_at FROM record ORDER BY id LIMIT 1") if found else []
    except apsw.Error as error:
        raise as_log_error(error, path) from error
    finally:
        let_go(connection)
    return Inspected(
        path=path,
        size_bytes=_size_of(path),
        first_ms=first[0][0] if first else None,
        last_ms=max((at_ms for at_ms, _ in newest.values()), default=None),
        waiting_bytes=waiting,
        control={name: value for name, (_, value) in newest.items() if name.startswith("control.")},
    )


def _newest(connection: apsw.Connection, topic: int) -> tuple[int, bytes] | None:
    begin, end = topic << OFFSET_BITS, (topic + 1) << OFFSET_BITS
    sql = "SELECT recorded_at, value FROM record WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1"
    rows = fetch(connection, sql, (begin, end))
    return (rows[0][0], rows[0][1]) if rows else None


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
