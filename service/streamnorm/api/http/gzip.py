"""Unpacking gzip bodies, a bounded piece at a time: a bomb is noticed before it goes off."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

GZIP = 16 + zlib.MAX_WBITS
#: Bytes unpacked between two looks at what they have become.
PIECE = 256 * 1024
#: Bytes that a member is given at once; what it leaves over is copied, so that there must not be much of it.
WINDOW = 4096
#: Members, which may be twenty bytes of nothing each, between two looks: some three milliseconds.
MOST_MEMBERS = 256


class BoundedGzipDecoder:
    """Unpacks a body that comes in parts; it may hold several members, as gzip files may.

    >>> import gzip
    >>> decoder = BoundedGzipDecoder()
    >>> b"".join(decoder.feed(gzip.compress(b"21") + gzip.compress(b".4"))), decoder.whole
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
        """Unpack the next part, in pieces of at most `PIECE` bytes, after each of which others may have their turn.

        Raises:
            zlib.error: it is not gzip.

        """
        at, full = 0, False
        parts: list[bytes] = []
        size = members = 0
        while at < len(data) or full:  # full: more of what was put in may be still to come out
            window = data[at : at + WINDOW]
            self._begun = True
            part = self._member.decompress(window, PIECE - size)
            parts.append(part)
            size += len(part)
            full = size == PIECE
            member = self._member  # at its end both may have what is left over
            at += len(window) - len(member.unused_data if member.eof else member.unconsumed_tail)
            if member.eof:
                self._member = zlib.decompressobj(GZIP)
                self._begun = full = False
                members += 1
            if size == PIECE or members == MOST_MEMBERS:
                yield b"".join(parts)
                parts, size, members = [], 0, 0
        if parts:
            yield b"".join(parts)
