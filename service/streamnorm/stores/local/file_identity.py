"""Detects that an open file was deleted or replaced.

A process can keep writing to a file after it was deleted, or after another file (a backup) took its path: every write
succeeds, and all are lost at the next restart. Comparing device and inode detects this in about a microsecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streamnorm.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path


class Identity(NamedTuple):
    """The device and inode that identify a file."""

    device: int
    inode: int


def identity(file: Path) -> Identity | None:
    """Return the identity of the file at a path, or None if there is no such file.

    Raises:
        StoreUnavailable: the path cannot be inspected.

    """
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreUnavailable(
            f"cannot look at {file}: {error.strerror}", public="the data folder cannot be reached"
        ) from error
    return Identity(status.st_dev, status.st_ino)


def check_identity(file: Path, opened: Identity | None) -> None:
    """Check that a path still leads to the file that was opened.

    Raises:
        StoreUnavailable: the file is gone, or another one is in its place.

    """
    current = identity(file)
    if current == opened:
        return
    if current is None:
        raise StoreUnavailable(
            f"{file} is gone: it was removed or moved, or its disk was unmounted; nothing is kept until it is back",
            public="the data folder, or a file in it, is gone",
        )
    raise StoreUnavailable(
        f"{file} was replaced while it was in use; nothing is kept any more: "
        "restart the service to use the file that is there now, or put the other one back",
        public="a file in the data folder was replaced while it was in use; the service must be restarted",
    )
