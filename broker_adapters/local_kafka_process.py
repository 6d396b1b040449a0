"""Processes that outlive the one that started them, and what they left behind on why they ended."""

import contextlib
import os
import subprocess
import time
from pathlib import Path

TAIL_BYTES = 64 * 1024

EMPTY_S = 0.2
"""How long a process may have no command line yet; a part of the system's own never has one."""

_REASONS = (
    ("Address already in use", "a port that it needs is taken by another program. Stop that program, then try again."),
    ("No space left on device", "its disk is full. Free some space, then `kommunebro kafka up` again."),
    ("Failed to acquire lock", "another Kafka uses its folder. Stop that one, then try again."),
    ("OutOfMemoryError", "it ran out of memory (512 MB of heap). Start it again; its data are kept."),
    ("Invalid cluster.id", "its folder belongs to another cluster. Give another --data."),
)


_children: set[int] = set()
"""Processes that this one started: they have to be reaped when they end."""


def spawn(command: list[str], output: Path) -> int:
    """Start `command` in a session of its own, with what it prints in `output`, and return its process id."""
    if output.exists():
        output.replace(output.with_suffix(".previous.log"))
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
    _children.add(pid)
    return pid


def is_running(pid: int, argument: str) -> bool:
    """Tell whether process `pid` runs and has `argument` on its command line: ids are used again."""
    if pid in _children and os.waitpid(pid, os.WNOHANG)[0] == pid:
        _children.discard(pid)
        return False
    if not Path("/proc/self/cmdline").exists():
        listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
        return argument in listed.stdout
    deadline = time.monotonic() + EMPTY_S
    while (command := _command_line(pid)) == b"" and time.monotonic() < deadline:
        time.sleep(EMPTY_S / 20)
    return command is not None and argument.encode() in command.split(b"\0")


def _command_line(pid: int) -> bytes | None:
    """Return a process's arguments; nothing while a program is being put in place, as Java's launcher does."""
    with contextlib.suppress(OSError):
        process = Path("/proc") / str(pid)
        if (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
            return (process / "cmdline").read_bytes()
    return None


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
