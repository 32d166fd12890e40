"""What operating systems do differently: locked files, signals, priorities.

The engine in process, the commands on files and pipes, and the SDK run on Linux, macOS and Windows. The service runs on
Linux and macOS; `unsupported` says what it lacks elsewhere.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import IOBase
from types import FrameType

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

#: the signal that asks for configuration to be read again; Windows has none
RELOAD: signal.Signals | None = getattr(signal, "SIGHUP", None)
#: Windows locks bytes, and no one can read what is locked: one that lies far beyond the content.
FAR = 1 << 30


def lock(file: IOBase) -> None:
    """Take the exclusive lock of an open file, which ends with the process.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file system knows no locks.

    """
    if sys.platform == "win32":
        at = file.tell()
        try:
            file.seek(FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(error.errno, error.strerror) from error
        finally:
            file.seek(at)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def interrupt_on_stop() -> None:
    """Let a request to stop (SIGTERM) interrupt the program as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let SIGTERM end the process with status 0 while there is nothing to save yet."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    with _handled(end, signal.SIGTERM):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Handle SIGTERM, and a SIGINT that a shell has disabled, like Ctrl-C."""
    with _handled(signal.default_int_handler, signal.SIGINT, signal.SIGTERM):
        yield


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None], *numbers: signal.Signals) -> Iterator[None]:
    former = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in former.items():
            signal.signal(number, before)


def lower_priority(niceness: int) -> None:
    """Leave the processor to others first; Windows knows no niceness, and nothing changes there."""
    if hasattr(os, "nice"):
        os.nice(niceness)


def new_pages(size: int) -> mmap.mmap:
    """Return so many bytes of zeros on pages of their own, which are no part of the heap and go with the object."""
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def unsupported() -> str | None:
    """Say why the service cannot run on this operating system; None where it can."""
    if sys.platform != "win32":
        return None
    return (
        "the service does not run on Windows: it is stopped by signals and shares the data folder by POSIX locks; "
        "use its container image or WSL. The Python client, Normalizer, `streamnorm filter` and `streamnorm backfill` "
        "run here"
    )
