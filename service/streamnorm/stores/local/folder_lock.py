"""Exclusive lock of a data folder: one process per folder.

The lock is held by the kernel (flock), not by the file's existence: it is released when the process ends for whatever
reason, so there are no stale locks. The file is left in place on purpose; removing it would let two processes lock two
files of the same name. The pid inside is only informational.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from streamnorm import platforms
from streamnorm.errors import StoreInUse, StoreUnavailable

LOCK_FILE = "streamnorm.lock"


@contextmanager
def acquire_folder(folder: Path) -> Iterator[None]:
    """Create the folder if it is missing, and hold its lock while the context is open.

    Raises:
        StoreInUse: another process holds the lock.
        StoreUnavailable: the folder cannot be created or written.

    """
    with _lock_file(folder) as file:
        _lock(file, folder)
        yield


def _lock_file(folder: Path) -> FileIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Appending: opening must not erase the holder's pid.
        return FileIO(folder / LOCK_FILE, "a+")
    except OSError as error:
        reason = "it is not a folder" if isinstance(error, FileExistsError) else error.strerror
        raise StoreUnavailable(f"cannot use the data folder {folder}: {reason}") from error


def _lock(file: FileIO, folder: Path) -> None:
    try:
        platforms.lock(file)
        file.truncate(0)
        file.write(f"{os.getpid()}\n".encode())
    except BlockingIOError as error:
        file.seek(0)
        pid = file.read().decode().strip() or "unknown"
        raise StoreInUse(f"the data folder {folder} is in use by process {pid}") from error
    except OSError as error:
        raise StoreUnavailable(f"cannot lock the data folder {folder}: {error.strerror}") from error
