"""CBOR (RFC 8949), by a library that is an extra."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streamnorm.errors import InvalidReading

#: the upper three bits of an item's first byte, and the lower five where its length has no end
ARRAY, INDEFINITE = 4, 31
#: the lower five bits of an array's first byte, where its length follows: in so many bytes
_LENGTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_BREAK = b"\xff"
#: Items that are given at once.
SOME = 1000


class LibraryMissing(Exception):
    """The library is not installed."""


def loads(data: bytes, what: str = "not CBOR") -> Any:
    """Parse one item.

    Raises:
        InvalidReading: it is none; begins with `what`.
        LibraryMissing: nobody here knows CBOR.

    """
    found = library()
    with _told(found, what):
        return found.loads(data)


def elements(data: bytes | bytearray, what: str = "not CBOR") -> Iterator[list[Any]] | None:
    """Return the elements of an array, some at a time; None where the data begin with something else.

    Raises:
        InvalidReading: it is no CBOR; begins with `what`.
        LibraryMissing: nobody here knows CBOR.

    """
    found = library()
    if not data or data[0] >> 5 != ARRAY:
        return None
    return _elements(found, data, what)


def array_head(count: int) -> bytes:
    r"""Write what an array of so many elements begins with.

    >>> array_head(3), array_head(300)
    (b'\x83', b'\x99\x01,')
    """
    if count < min(_LENGTHS):
        return bytes([ARRAY << 5 | count])
    short, size = next((short, size) for short, size in _LENGTHS.items() if count < 256**size)
    return bytes([ARRAY << 5 | short]) + count.to_bytes(size, "big")


def library() -> Any:
    """Return the library.

    Raises:
        LibraryMissing: it is not installed.

    """
    try:
        return importlib.import_module("cbor2")
    except ModuleNotFoundError:
        raise LibraryMissing("CBOR needs cbor2: pip install 'streamnorm[senml]'") from None


def _elements(found: Any, data: bytes | bytearray, what: str) -> Iterator[list[Any]]:
    short = data[0] & INDEFINITE
    size = _LENGTHS.get(short, 0)
    file = io.BytesIO(data)
    file.seek(1 + size)
    left = int.from_bytes(data[1 : 1 + size], "big") if size else short
    if INDEFINITE > short > max(_LENGTHS) or len(data) < 1 + size:
        raise InvalidReading.at("", f"{what}: its length cannot be read")
    decoder = found.CBORDecoder(file)
    while left:
        some: list[Any] = []
        with _told(found, what):
            while left and len(some) < SOME:
                if short == INDEFINITE:
                    if file.read(1) == _BREAK:
                        left = 0
                        break
                    file.seek(-1, io.SEEK_CUR)
                else:
                    left -= 1
                some.append(decoder.decode())
        if some:
            yield some


@contextmanager
def _told(found: Any, what: str) -> Iterator[None]:
    """Tell what the library raises in our words."""
    try:
        yield
    except (found.CBORDecodeError, ValueError, TypeError, RecursionError) as error:
        raise InvalidReading.at("", f"{what}: {error}") from None
