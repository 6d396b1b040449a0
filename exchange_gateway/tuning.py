"""What a gateway's or a forwarder's process asks of the interpreter and of the C library, for its speed."""

import ctypes
import gc
import resource
import sys

SWITCH_INTERVAL_S = 0.0005
"""How long a thread keeps the interpreter: the log's writer must get its turn soon."""

YOUNG_OBJECTS = 50_000
"""New containers after which the collector looks at the young. Thousands of events wait for the log at once, a step of
the forwarder holds ten thousand objects and lets go of them by itself, and each look goes through them all: at Python's
own 700 that was a twentieth of publishing, and an eighth of forwarding."""

MEBIBYTE = 1024 * 1024
KEPT_BYTES = 64 * MEBIBYTE
FROM_SYSTEM_BYTES = 16 * MEBIBYTE
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""mallopt(3)."""


def tune() -> None:
    """Tune this process, once everything that lives as long as it does is made."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    _keep_freed_memory()
    # What was made until now lives as long as the process: collections need not look at it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)


def _keep_freed_memory() -> None:
    """Have memory that was freed used again, instead of given back and asked for anew for each batch of some 900 KB.

    glibc gives blocks over 128 KiB back at once; then each page of the next one is a fault, one for each event.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # another C library, with its own ways
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(M_MMAP_THRESHOLD, FROM_SYSTEM_BYTES)


def most_open_files() -> int | None:
    """Have this process allowed as many open files as it can ask for, and return their number; None for any number."""
    most, ceiling = resource.getrlimit(resource.RLIMIT_NOFILE)
    if ceiling != most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, ceiling))
    return None if ceiling == resource.RLIM_INFINITY else ceiling
