"""Incremental gzip decompression in bounded pieces, so that a decompression bomb is detected early."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

GZIP = 16 + zlib.MAX_WBITS
#: What gzip begins with, and nothing else that a body may be.
BEGINNING = b"\x1f\x8b"
#: Bytes decompressed per yielded piece.
PIECE = 256 * 1024
#: Bytes passed to the decompressor at a time; it copies the unconsumed remainder, which this bounds.
WINDOW = 4096
#: Members per yielded piece, since each may be empty and only twenty bytes long: about three milliseconds.
MOST_MEMBERS = 256


class BoundedGzipDecoder:
    """Decompresses a body that arrives in parts; it may contain several gzip members.

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
        """Whether the last member is complete."""
        return not self._begun

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decompress the next part, in pieces of at most `PIECE` bytes; the caller may pause after each.

        Raises:
            zlib.error: the data are not gzip.

        """
        at, full = 0, False
        parts: list[bytes] = []
        size = members = 0
        while at < len(data) or full:  # full: the decompressor may hold more output
            window = data[at : at + WINDOW]
            self._begun = True
            part = self._member.decompress(window, PIECE - size)
            parts.append(part)
            size += len(part)
            full = size == PIECE
            member = self._member
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
