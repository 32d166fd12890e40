"""Blocks as NumPy's own files: `npy` for one stream, `npz` for many; read where they lie, never unpickled.

An npy file is a short header and the numbers as they are in memory, so a body is an array already, and an answer is
sent from where the arithmetic left it. An npz file is a zip archive of npy files; its members must be stored, not
compressed, which is how `numpy.savez` makes them.
"""

from __future__ import annotations

import ast
import contextlib
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

import numpy as np
import numpy.typing as npt
from fastapi import Request, Response

from streamnorm.api import bodies
from streamnorm.engine.faults import escaped
from streamnorm.engine.reading import Array
from streamnorm.errors import InvalidReading

NPY = "application/x-npy"
NPZ = "application/x-npz"

#: Headers are a line of a hundred bytes; more is no array of numbers.
LONGEST_HEADER = 4096
LARGEST_AXIS = 2**40
#: The directory of five arrays has a few hundred bytes, and every entry that is listed becomes an object.
LONGEST_DIRECTORY = 128 * 1024
_MAGIC = struct.Struct("<6sBB")
_SIZES = {1: struct.Struct("<H"), 2: struct.Struct("<I")}
_LOCAL_HEADER = struct.Struct("<26xHH")
#: the same with the member's size, which is found in the extra field where it may be large
_LOCAL_SIZES, _EXTRA_SIZE, _IN_EXTRA = struct.Struct("<18xI4xHH"), struct.Struct("<12xQ"), 2**32 - 1
#: of numbers, in bytes
ALIGNMENT = 16
_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))

Piece = bytes | memoryview


async def received(request: Request, limit: int) -> memoryview:
    """Read a whole body of at most `limit` bytes into one piece of memory, its size known beforehand or not.

    It is put where the numbers in it are aligned, for an array that is not must be copied.
    """
    size = request.headers.get("content-length", "")
    if not size.isdigit() or int(size) > limit or "content-encoding" in request.headers:
        return memoryview(await bodies.raw(request, limit))
    body = np.empty(int(size) + ALIGNMENT, dtype=np.uint8).data
    start = at = 0
    async for part in bodies.parts(request, limit):
        if not at:
            start = at = -numbers_at(part) % ALIGNMENT
        body[at : at + len(part)] = part
        at += len(part)
    return body[start : start + int(size)]


def numbers_at(head: bytes) -> int:
    """Tell where the numbers of `values` begin in an npz file that begins so, as far as alignment goes; else 0."""
    at = 0
    with contextlib.suppress(struct.error):
        while head[at : at + 4] == b"PK\x03\x04":
            size, letters, extra = _LOCAL_SIZES.unpack_from(head, at)
            start = at + _LOCAL_HEADER.size + letters
            found = head[start - letters : start] == b"values.npy"
            if size == _IN_EXTRA:
                (size,) = _EXTRA_SIZE.unpack_from(head, start)
            at = start + extra
            if found:
                return int(at)  # an npy file's own header is a multiple of ALIGNMENT long
            at += size
    return 0


def from_npy(data: memoryview, what: str = "the body") -> npt.NDArray[Any]:
    """Give the array in an npy file, without copying it.

    Raises:
        InvalidReading: it is no npy file, is cut short, or holds Python objects.

    """
    try:
        start, kind, by_columns, shape = _header(data)
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError, struct.error) as error:
        raise InvalidReading.at("", f"{what} is no npy file of version 1 or 2: {error}") from None
    if kind.hasobject or kind.fields is not None or kind.subdtype is not None or not kind.itemsize:
        raise InvalidReading.at("", f"{what} holds {kind}, not numbers or text")
    numbers = data[start:]
    count = math.prod(shape)
    if len(numbers) != count * kind.itemsize:
        detail = f"{what} has {len(numbers)} bytes of data, an array of {shape} {kind} has {count * kind.itemsize}"
        raise InvalidReading.at("", detail)
    found = np.frombuffer(numbers, dtype=kind, count=count)
    if not found.flags.aligned or not kind.isnative:
        found = found.astype(kind.newbyteorder("="))
    return found.reshape(shape, order="F" if by_columns else "C")


def _header(data: memoryview) -> tuple[int, np.dtype[Any], bool, tuple[int, ...]]:
    """Read an npy file's header: where its data begin, their type, whether column by column, their shape.

    NumPy's own reader raises whatever Python's tokenizer does, and warns of what Python 2 wrote.
    """
    magic, major, _ = _MAGIC.unpack_from(data)
    size = _SIZES[major]
    (length,) = size.unpack_from(data, _MAGIC.size)
    start = _MAGIC.size + size.size + length
    if magic != b"\x93NUMPY" or length > LONGEST_HEADER or start > len(data):
        raise ValueError("it does not begin as one")
    header = ast.literal_eval(bytes(data[start - length : start]).decode("latin1"))
    descr, by_columns, shape = (header[name] for name in ("descr", "fortran_order", "shape"))
    if not isinstance(descr, str) or not isinstance(shape, tuple):
        raise TypeError("it is of a structured type")
    if not all(type(axis) is int and 0 <= axis < LARGEST_AXIS for axis in shape):
        raise ValueError(f"its shape is {shape}")
    return start, np.dtype(descr), bool(by_columns), shape


def table_of(found: npt.NDArray[Any], what: str, *axes: str) -> Array:
    """Check that an array is float64 or float32 with these axes."""
    if found.dtype not in _FLOATS:
        raise InvalidReading.at("/values", f"{what} is {found.dtype}; it must be float64 or float32")
    if found.ndim != len(axes):
        detail = f"{what} has the shape {list(found.shape)}; it must have {len(axes)} axes: {', '.join(axes)}"
        raise InvalidReading.at("/values", detail)
    return found


def from_npz(data: memoryview, known: Collection[str]) -> dict[str, npt.NDArray[Any]]:
    """Give the arrays in an npz file by their names, without copying them.

    Raises:
        InvalidReading: it is no npz file, has a member that is not known or is there twice, or one is compressed or
            damaged.

    """
    found: dict[str, npt.NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(_View(data)) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if name not in known or name in found:  # before it is looked into: an archive may list much
                    raise InvalidReading.at(f"/{escaped(name)}", "is there twice" if name in known else "unknown array")
                found[name] = from_npy(_member(data, info), info.filename)
    except (zipfile.BadZipFile, OSError, struct.error, NotImplementedError, UnicodeError) as error:
        raise InvalidReading.at("", f"the body is no npz file: {error}") from None
    return found


def to_npy(array: npt.NDArray[Any]) -> list[Piece]:
    """Make an npy file: its header, and the array where it is."""
    array = np.ascontiguousarray(array)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
    return [head.getvalue(), array.reshape(-1).data.cast("B") if array.size else b""]


def to_npz(arrays: Mapping[str, npt.NDArray[Any]]) -> list[Piece]:
    """Make an npz file."""
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w") as archive:
        for name, array in arrays.items():
            head, numbers = to_npy(array)
            info = zipfile.ZipInfo(f"{name}.npy")
            info.file_size = len(head) + len(numbers)
            with archive.open(info, "w") as member:
                member.write(head)
                member.write(numbers)
    return pieces.written


class Pieces(Response):
    """An answer in several pieces of memory, sent as they are."""

    def __init__(self, pieces: list[Piece], media: str, headers: Mapping[str, str] | None = None) -> None:
        self.status_code = HTTPStatus.OK
        self.background = None
        self.media_type = media
        self._pieces = pieces
        self.init_headers({"content-length": str(sum(map(len, pieces)))} | dict(headers or {}))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002
        """Send the pieces."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _member(data: memoryview, info: zipfile.ZipInfo) -> memoryview:
    """Find a member's bytes; its own header is of another length than the directory says."""
    encrypted = info.flag_bits & 1
    if info.compress_type != zipfile.ZIP_STORED or encrypted:
        detail = f"{info.filename} is compressed or encrypted; arrays must be stored, as numpy.savez does"
        raise InvalidReading.at("", detail)
    names, extra = _LOCAL_HEADER.unpack_from(data, info.header_offset)
    start = info.header_offset + _LOCAL_HEADER.size + names + extra
    member = data[start : start + info.file_size]
    if zlib.crc32(member) != info.CRC:
        raise InvalidReading.at("", f"{info.filename} is damaged: its checksum is another")
    return member


class _View(io.RawIOBase):
    """A piece of memory as a file, without a copy."""

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
            raise OSError("it is cut short")
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        found = self._data[self._at :] if size < 0 else self._data[self._at : self._at + size]
        if len(found) > LONGEST_DIRECTORY:
            raise zipfile.BadZipFile(f"its directory is longer than {LONGEST_DIRECTORY} bytes")
        self._at += len(found)
        return bytes(found)


class _Pieces:
    """A file that keeps what is written to it in pieces, without a copy."""

    def __init__(self) -> None:
        self.written: list[Piece] = []

    def write(self, piece: Any) -> int:
        """Keep a piece."""
        self.written.append(piece)
        return len(piece)

    def flush(self) -> None:
        """Do nothing, for there is nothing behind it."""

    def close(self) -> None:
        """Do nothing."""
