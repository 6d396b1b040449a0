"""Fetch Apache Kafka itself: its jars from Maven Central, once, into a cache folder.

`jgo` resolves the coordinates in pure Python, so that no Maven is needed.
"""

import os
import shutil
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

KAFKA_VERSION = "4.3.1"
COORDINATES = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
"""slf4j-simple has to be of the series that Kafka's own slf4j-api is of, or Kafka logs nothing."""

FETCH_TIMEOUT_S = 60
FETCH_TRIES = 3
FETCHES_AT_ONCE = 8


class KafkaNotFetched(Exception):
    """Kafka's jars are neither in the cache nor to be had."""


def caches() -> Path:
    """Return where what was fetched is kept, by the XDG base directory specification."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kommunebro"


def cache_folder() -> Path:
    """Return where Kafka's jars are kept."""
    return caches() / f"kafka-{KAFKA_VERSION}"


def class_path(
    cache: Path | None = None,
    coordinates: tuple[str, ...] = COORDINATES,
    what: str = f"Apache Kafka {KAFKA_VERSION}",
) -> str:
    """Return Java's class path for `coordinates`, fetching them into `cache` at first use. Raises `KafkaNotFetched`.

    what: the name in that error's text.
    """
    folder = cache or cache_folder()
    if not folder.is_dir():
        _fetch_into(folder, coordinates, what)
    return f"{folder}{os.sep}*"


def _fetch_into(folder: Path, coordinates: tuple[str, ...], what: str) -> None:
    """Fill a folder beside `folder` and rename it, so that a cache that exists is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as scratch:
        ready = Path(scratch) / "jars"
        ready.mkdir()
        for jar in _jars(Path(scratch) / "repository", folder, coordinates, what):
            _check(jar)
            shutil.move(jar, ready / jar.name)
        try:
            ready.rename(folder)
        except OSError:
            # Another process was faster: its copy is as good, unless there is none.
            if not folder.is_dir():
                raise


def _check(jar: Path) -> None:
    try:
        with zipfile.ZipFile(jar) as archive:
            broken = archive.testzip()
    except zipfile.BadZipFile:
        broken = jar.name
    if broken is not None:
        raise KafkaNotFetched(f"{jar.name} arrived damaged. Run the command again.")


def _jars(repository: Path, folder: Path, coordinates: tuple[str, ...], what: str) -> list[Path]:
    last: Exception | None = None
    for _ in range(FETCH_TRIES):
        try:
            return _resolve(repository, coordinates)
        except Exception as error:  # noqa: BLE001  (jgo and requests raise plain RuntimeError, OSError and their own)
            last = error
            # A file that was cut off would count as fetched at the next try.
            shutil.rmtree(repository, ignore_errors=True)
    raise KafkaNotFetched(
        f"{what} could not be fetched from Maven Central ({last}). "
        f"Check the network and any proxy and try again, or copy {folder} from a machine that has it."
    ) from last


def _resolve(repository: Path, coordinates: tuple[str, ...]) -> list[Path]:
    # Imported here: it takes a quarter of a second, and is needed once in a machine's life.
    from jgo.config import GlobalSettings  # noqa: PLC0415
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415
    from jgo.parse import Coordinate  # noqa: PLC0415

    remotes = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    context: Any = MavenContext(repo_cache=repository, remote_repos=remotes, timeout=FETCH_TIMEOUT_S)
    wanted = [
        context.create_dependency(replace(Coordinate.parse(coordinate), scope="compile")) for coordinate in coordinates
    ]
    direct, transitive = context.resolver.resolve(wanted)
    needed = [*direct, *(one for one in transitive if one.scope in {"compile", "runtime"})]
    with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
        return list(pool.map(lambda dependency: Path(dependency.artifact.resolve()), needed))
