"""Recordings as bytes, whatever they are packed in: what packed them is told by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import zlib
from pathlib import Path
from typing import IO, cast

from streamnorm.backfill.unreadable import Unreadable

GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
#: what reading a packed file that is damaged or cut short can raise, beside OSError
DAMAGED = (EOFError, lzma.LZMAError, zlib.error)
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zstd")


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacked.

    Raises:
        Unreadable: what unpacks it is not installed.

    """
    with path.open("rb") as file:
        head = file.read(6)
    if head.startswith(GZIP):
        return cast("IO[bytes]", gzip.open(path))
    if head.startswith(BZIP2):
        return cast("IO[bytes]", bz2.open(path))
    if head.startswith(XZ):
        return cast("IO[bytes]", lzma.open(path))
    if head.startswith(ZSTD):
        return _zstd(path)
    return path.open("rb")


def plain_name(path: Path) -> Path:
    """Return a file's name without the ending of what packed it.

    >>> str(plain_name(Path("room.v2.csv.gz")))
    'room.v2.csv'
    """
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


def _zstd(path: Path) -> IO[bytes]:
    for name in "compression.zstd", "zstandard":
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        return cast("IO[bytes]", module.open(path, "rb"))
    message = f"{path} is packed by zstd: pip install 'streamnorm[files]'"
    raise Unreadable(message)
