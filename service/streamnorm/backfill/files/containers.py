"""Recordings as bytes, whatever they are packed in: what packed them is told by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import zlib
from pathlib import Path
from typing import IO, Any, cast

from streamnorm.backfill.unreadable import Unreadable

GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
#: what reading a packed file that is damaged or cut short can raise, beside OSError
DAMAGED = (EOFError, lzma.LZMAError, zlib.error)
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zstd")
#: Bytes of zstd that are unpacked at once: of what repeats itself they become some 30 MB.
PIECE = 4096


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
    try:
        return cast("IO[bytes]", importlib.import_module("compression.zstd").open(path, "rb"))
    except ModuleNotFoundError:  # before Python 3.14
        pass
    try:
        zstandard = importlib.import_module("zstandard")
    except ModuleNotFoundError:
        message = "it is packed by zstd: pip install 'streamnorm[files]'"
        raise Unreadable(message) from None
    return cast("IO[bytes]", io.BufferedReader(_Zstd(path, zstandard), 2**20))


class _Zstd(io.RawIOBase):
    """The frames of a zstd file at `path`, unpacked: `zstandard`'s own reader takes a cut end for that of the file."""

    def __init__(self, path: Path, zstandard: Any) -> None:
        self._zstandard, self._file = zstandard, path.open("rb")
        self._frame: Any = None
        self._packed, self._ready, self._place = b"", memoryview(b""), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on to a place, counted in unpacked bytes from the beginning of the file, or stay where it is."""
        while whence == io.SEEK_SET and self._place < offset and self.read(min(offset - self._place, 2**20)):
            pass
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Unpack into a buffer.

        Raises:
            EOFError: the file is cut short.
            OSError: it is damaged.

        """
        while not self._ready and (self._packed or self._more()):
            try:
                self._frame = self._frame or self._zstandard.ZstdDecompressor().decompressobj()
                self._ready = memoryview(self._frame.decompress(self._packed))
            except self._zstandard.ZstdError as error:
                raise OSError(str(error)) from None
            self._packed = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        view = memoryview(buffer)
        size = min(len(view), len(self._ready))
        view[:size], self._ready = self._ready[:size], self._ready[size:]
        self._place += size
        return size

    def _more(self) -> bool:
        self._packed = self._file.read(PIECE)
        if not self._packed and self._frame is not None:
            message = "Compressed file ended before the end-of-stream marker was reached"
            raise EOFError(message)
        return bool(self._packed)
