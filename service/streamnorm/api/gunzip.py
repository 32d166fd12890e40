"""Unpacking gzip bodies, a bounded piece at a time: a bomb is noticed before it goes off."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

GZIP = 16 + zlib.MAX_WBITS
#: Bytes unpacked between two looks at what they have become.
PIECE = 256 * 1024


class Gunzip:
    """Unpacks a body that comes in parts; it may hold several members, as gzip files may.

    >>> import gzip
    >>> unpacking = Gunzip()
    >>> b"".join(unpacking.feed(gzip.compress(b"21") + gzip.compress(b".4"))), unpacking.whole
    (b'21.4', True)
    """

    def __init__(self) -> None:
        self._member = zlib.decompressobj(GZIP)
        self._begun = False

    @property
    def whole(self) -> bool:
        """Whether nothing is missing at the end."""
        return not self._begun

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Unpack the next part, by and by.

        Raises:
            zlib.error: it is not gzip.

        """
        part = b""
        while data or len(part) == PIECE:  # a full piece: more of what was put in may be still to come out
            self._begun = True
            part = self._member.decompress(data, PIECE)
            yield part
            data = self._member.unconsumed_tail
            if self._member.eof:
                data, part = self._member.unused_data, b""
                self._member = zlib.decompressobj(GZIP)
                self._begun = False
