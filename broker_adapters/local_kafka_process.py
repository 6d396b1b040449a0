"""Processes that outlive the one that started them, and what they left behind on why they ended."""

import contextlib
import os
import subprocess
from pathlib import Path

TAIL_BYTES = 64 * 1024

_REASONS = (
    ("Address already in use", "a port that it needs is taken by another program. Stop that program, then try again."),
    ("No space left on device", "its disk is full. Free some space, then `kommunebro kafka up` again."),
    ("Failed to acquire lock", "another Kafka uses its folder. Stop that one, then try again."),
    ("OutOfMemoryError", "it ran out of memory (512 MB of heap). Start it again; its data are kept."),
    ("Invalid cluster.id", "its folder belongs to another cluster. Give another --data."),
)


def spawn(command: list[str], output: Path) -> int:
    """Start `command` in a session of its own, with what it prints in `output`, and return its process id."""
    if output.exists():
        output.replace(output.with_suffix(".previous.log"))
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)


def is_running(pid: int, argument: str) -> bool:
    """Tell whether process `pid` runs and has `argument` on its command line: ids are used again."""
    with contextlib.suppress(ChildProcessError):
        # Where it is our own child, and ended, it has to be reaped.
        os.waitpid(pid, os.WNOHANG)
    if Path("/proc/self/cmdline").exists():
        return _is_running_by_proc(Path("/proc") / str(pid), argument.encode())
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return argument in listed.stdout


def _is_running_by_proc(process: Path, argument: bytes) -> bool:
    with contextlib.suppress(OSError):
        command = (process / "cmdline").read_bytes()
        # It is empty for a moment while a program is being replaced, as Java's launcher does with itself,
        # and for good in a process that ended and was not reaped (state Z).
        is_zombie = (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return argument in command.split(b"\0") if command else not is_zombie
    return False


def tail(file: Path) -> str:
    """Return the end of a file, or nothing where there is none."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - TAIL_BYTES))
            return opened.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def explain(output: Path) -> str | None:
    """Return why a broker ended, in words that say what to do; None where its output names no fault."""
    printed = tail(output)
    for sign, reason in _REASONS:
        if sign in printed:
            return reason
    if "shut down completed" in printed:
        return None
    lines = [line for line in printed.splitlines() if " ERROR " in line or " FATAL " in line]
    return f"its last error was: {lines[-1].strip()}" if lines else None
