"""Whether a path still leads to the file that was opened by it.

Who has a file open goes on writing to it after it was deleted, or after another (a backup) was put in its place: every
write succeeds, and none is there after a restart. Device and inode tell; looking at them costs a microsecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streamnorm.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path


class Identity(NamedTuple):
    """What makes a file the same one."""

    device: int
    inode: int


def identity(file: Path) -> Identity | None:
    """Return the identity of the file that a path leads to, None where there is none.

    Raises:
        StoreUnavailable: that cannot be told.

    """
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreUnavailable(
            f"cannot look at {file}: {error.strerror}", public="the data folder cannot be reached"
        ) from error
    return Identity(found.st_dev, found.st_ino)


def check_identity(file: Path, opened: Identity | None) -> None:
    """Refuse a file that is not the one that was opened.

    Raises:
        StoreUnavailable: it is gone, or another is in its place.

    """
    found = identity(file)
    if found == opened:
        return
    if found is None:
        raise StoreUnavailable(
            f"{file} is gone: it was removed or moved, or its disk was unmounted; nothing is kept until it is back",
            public="the data folder, or a file in it, is gone",
        )
    raise StoreUnavailable(
        f"{file} was replaced while it was in use; nothing is kept any more: "
        "restart the service to use the file that is there now, or put the other one back",
        public="a file in the data folder was replaced while it was in use; the service must be restarted",
    )
