"""NumPy's npz format: blocks of many streams, read and written without a copy.

An npz file is a zip archive of npy files; its members must be stored, not compressed, as `numpy.savez` does. The answer
is sent from the memory that holds the results.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from fastapi import Request

from streamnorm.api.codecs.arrays.npy import from_npy, to_npy
from streamnorm.api.http.body import iter_body, read_body
from streamnorm.api.http.request_state import RequestState
from streamnorm.api.http.responses import Piece
from streamnorm.engine.validation import escape_pointer
from streamnorm.errors import InvalidReading

try:
    from isal.isal_zlib import crc32  # four times as fast
except ImportError:  # there are no wheels for this machine
    from zlib import crc32

NPZ = "application/x-npz"

#: The directory of five arrays has a few hundred bytes; the limit bounds the number of entry objects.
LONGEST_DIRECTORY = 128 * 1024
_LOCAL_HEADER = struct.Struct("<26xHH")
#: the local header with the member's size, which is in the extra field if the member may be large
_LOCAL_SIZES, _EXTRA_SIZE, _IN_EXTRA = struct.Struct("<18xI4xHH"), struct.Struct("<12xQ"), 2**32 - 1
#: of numbers, in bytes
ALIGNMENT = 16


async def received(request: Request, limit: int) -> memoryview:
    """Read a whole body of at most `limit` bytes into one buffer.

    The body is placed so that its numbers are aligned: an unaligned array would have to be copied.
    """
    size = request.headers.get("content-length", "")
    if not size.isdigit() or int(size) > limit or "content-encoding" in request.headers:
        return memoryview(await read_body(request, limit))
    room = np.empty(int(size) + ALIGNMENT, dtype=np.uint8).data
    body, at = room[: int(size)], 0
    exchange: RequestState | None = request.scope.get("exchange")
    async for part in iter_body(request, limit):
        if not at:
            start = -payload_offset(part) % ALIGNMENT
            body = room[start : start + int(size)]
        body[at : at + len(part)] = part
        at += len(part)
        if exchange is not None:
            at += await exchange.receive_into(body[at:])
    return body


def payload_offset(head: bytes) -> int:
    """Return the offset of the member `values` in an npz file that begins with `head`; 0 if it is not found."""
    at = 0
    with contextlib.suppress(struct.error):
        while head[at : at + 4] == b"PK\x03\x04":
            size, letters, extra = _LOCAL_SIZES.unpack_from(head, at)
            start = at + _LOCAL_HEADER.size + letters
            is_values = head[start - letters : start] == b"values.npy"
            if size == _IN_EXTRA:
                (size,) = _EXTRA_SIZE.unpack_from(head, start)
            at = start + extra
            if is_values:
                return int(at)  # an npy file's own header is a multiple of ALIGNMENT long
            at += size
    return 0


def from_npz(data: memoryview, known: Collection[str]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays in an npz file by name, without copying them.

    Raises:
        InvalidReading: the data are not an npz file, or a member is not in `known`, duplicate, compressed or damaged.

    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    if not data:
        raise InvalidReading.at("", "the body is no npz file: it is empty")
    try:
        with zipfile.ZipFile(_View(data)) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if name not in known or name in arrays:  # before reading it: an archive may list many members
                    raise InvalidReading.at(
                        f"/{escape_pointer(name)}", "is there twice" if name in known else "unknown array"
                    )
                arrays[name] = from_npy(_member(data, info), info.filename)
    except (zipfile.BadZipFile, OSError, struct.error, NotImplementedError, UnicodeError):
        detail = "the body is no npz file, or is cut short: it has no sound directory at its end"
        raise InvalidReading.at("", detail) from None
    return arrays


def to_npz(arrays: Mapping[str, npt.NDArray[Any]]) -> list[Piece]:
    """Build an npz file.

    `zipfile` writes its directory, but not the members: it would take their sums by zlib.
    """
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w") as archive:
        for name, array in arrays.items():
            member = to_npy(array)
            info = zipfile.ZipInfo(f"{name}.npy")
            info.file_size = info.compress_size = sum(map(len, member))
            info.CRC = 0
            for piece in member:
                info.CRC = crc32(piece, info.CRC)
            info.header_offset = pieces.size
            archive.filelist.append(info)
            for piece in (info.FileHeader(), *member):
                pieces.write(piece)
        archive.start_dir = pieces.size
    return pieces.written


def _member(data: memoryview, info: zipfile.ZipInfo) -> memoryview:
    """Return a view of a member's data; the lengths in its local header may differ from those in the directory."""
    encrypted = info.flag_bits & 1
    if info.compress_type != zipfile.ZIP_STORED or encrypted:
        detail = f"{info.filename} is compressed or encrypted; arrays must be stored, as numpy.savez does"
        raise InvalidReading.at("", detail)
    if not 0 <= info.header_offset <= len(data) - _LOCAL_HEADER.size:
        raise InvalidReading.at(
            "", f"{info.filename} is not where the directory says: the body is damaged or cut short"
        )
    names, extra = _LOCAL_HEADER.unpack_from(data, info.header_offset)
    start = info.header_offset + _LOCAL_HEADER.size + names + extra
    member = data[start : start + info.file_size]
    if crc32(member) != info.CRC:
        raise InvalidReading.at("", f"{info.filename} is damaged: its checksum is another")
    return member


class _View(io.RawIOBase):
    """A file interface to a buffer, without a copy."""

    def __init__(self, data: memoryview) -> None:
        super().__init__()
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = (0, self._at, len(self._data))[whence] + offset
        if self._at < 0:
            raise OSError("before the beginning")
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        data = self._data[self._at :] if size < 0 else self._data[self._at : self._at + size]
        if len(data) > LONGEST_DIRECTORY:
            raise InvalidReading.at("", f"the body's directory is longer than {LONGEST_DIRECTORY} bytes")
        self._at += len(data)
        return bytes(data)


class _Pieces:
    """A writable file that collects the written buffers without a copy."""

    def __init__(self) -> None:
        self.written: list[Piece] = []
        self.size = 0

    def write(self, piece: Any) -> int:
        """Append a buffer."""
        self.written.append(piece)
        self.size += len(piece)
        return len(piece)

    def tell(self) -> int:
        """Return the bytes written so far."""
        return self.size

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def close(self) -> None:
        """Do nothing."""
