"""The data folder, who holds it, its disk, and the instance's keys."""

import fcntl
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from exchange_gateway.doctor.findings import Examination
from exchange_gateway.keys import InstanceKeys, KeysUnusable, load_keys

MEBIBYTE, GIBIBYTE = 2**20, 2**30
DISK_USED_WARN, DISK_USED_FAIL = 0.70, 0.98
DISK_FREE_FAIL_BYTES = 64 * MEBIBYTE
DAY_S, DAYS_LEFT_WARN = 86400, 30.0
OTHERS = stat.S_IRWXG | stat.S_IRWXO
LOCKS = ("gateway.lock", "lock")


def examine_folder(seen: Examination, folder: Path) -> bool:
    """Look at the data folder; return whether it is there and can be used."""
    if not folder.exists():
        parent = next(path for path in folder.absolute().parents if path.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            seen.fail(
                "data folder",
                f"{folder} is not there, and {parent} cannot be written",
                "Make it, or name another with --data.",
                unreachable=True,
            )
            return False
        seen.warn(
            "data folder",
            f"{folder} is not there",
            "It is made at the first start. If there was one, --data names the wrong place.",
        )
        return False
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        seen.fail(
            "data folder",
            f"{folder} cannot be read and written by this user",
            "Give it to the user that runs the gateway (chown), or name another with --data.",
            unreachable=True,
        )
        return False
    about = folder.stat()
    if about.st_mode & OTHERS:
        seen.warn(
            "data folder",
            f"{folder} is open to other users (mode {about.st_mode & 0o777:o})",
            f"chmod 700 {folder}",
        )
    elif about.st_uid != os.geteuid():
        seen.warn(
            "data folder",
            f"{folder} belongs to user {about.st_uid}, and this is user {os.geteuid()}",
            "Run this as the user that runs the gateway, to see what it sees.",
        )
    else:
        seen.ok("data folder", f"{folder} can be written, and is closed to others")
    return True


def holder_of(folder: Path) -> str | None:
    """Return the process that uses a folder; None where nobody does. Takes no lock that another would wait for."""
    for name in LOCKS:
        try:
            with (folder / name).open(encoding="ascii") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return file.read(20).strip() or "unknown"
        except OSError:
            continue
    return None


def examine_disk(seen: Examination, folder: Path, *, grown_bytes: int = 0, grown_s: float = 0.0) -> None:
    """Look at the disk's room. grown_bytes, grown_s: how much the log has become, and in how long."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    usage = shutil.disk_usage(there)
    # What only the administrator can fill is no room for us.
    share = 1 - usage.free / (usage.used + usage.free) if usage.used + usage.free else 1.0
    found = f"{usage.free / GIBIBYTE:.1f} GiB free, {share:.0%} used, at {there}"
    days = usage.free / (grown_bytes / grown_s) / DAY_S if grown_bytes and grown_s > DAY_S else None
    if usage.free < DISK_FREE_FAIL_BYTES or share > DISK_USED_FAIL:
        seen.fail(
            "disk",
            found,
            "Free some space: publishers get 503 when it is full. Nothing that was acknowledged is lost.",
            unreachable=True,
        )
    elif share > DISK_USED_WARN:
        seen.warn("disk", found, "The log keeps everything, so it only grows. Find more room before it is full.")
    elif days is not None and days < DAYS_LEFT_WARN:
        seen.warn("disk", f"{found}; full in {days:.0f} days at the pace so far", "Find more room before then.")
    else:
        seen.ok("disk", found)


def examine_keys(seen: Examination, path: Path, *, needed: bool) -> InstanceKeys | None:
    """Look at the instance's secrets; return them. needed: whether there is a log that they belong to."""
    if not path.exists():
        if needed:
            seen.fail(
                "keys",
                f"there is no {path}, but a log that was made with it",
                "Put back the copy that you keep of it.",
            )
        else:
            seen.warn(
                "keys",
                f"there is no {path} yet",
                "`kommunebro serve` makes it at the first start. Keep a copy elsewhere then.",
            )
        return None
    try:
        keys = load_keys(path)
    except KeysUnusable as error:
        seen.fail("keys", str(error), "Put back the copy that you keep of it, and let this user read it.")
        return None
    with suppress(OSError):
        mode = path.stat().st_mode & 0o777
        if mode & OTHERS:
            seen.fail(
                "keys",
                f"{path} can be read by other users (mode {mode:o}): whoever has it signs tokens",
                f"chmod 600 {path}. If others may have read it, make a new instance.",
            )
            return keys
    seen.ok("keys", f"{path} can be read by its owner only")
    return keys
