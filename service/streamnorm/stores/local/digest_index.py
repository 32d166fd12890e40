"""Where the streams of many ids are, in some ten bytes for each: a dictionary, its keys and its values take 130.

Rules:

1. An id is known by its digest, of which two are not equal in practice: 16 bytes of BLAKE2s.
2. An entry has 32 bits of the digest, then the place; the caller compares the rest with the digest at that place.
3. Entries lie sorted in shards, by other bits of the digest, so that one more moves few of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import defaultdict
from functools import partial
from hashlib import blake2s
from struct import Struct

#: Bytes of a digest.
DIGEST_SIZE = 16
#: Of a million entries each has a thousand.
SHARDS = 1024
_PLACE = 2**32 - 1
_FIRST = Struct("<Q").unpack_from


def digest_of(stream_id: str) -> bytes:
    """Return what an id is known by."""
    return blake2s(stream_id.encode(), digest_size=DIGEST_SIZE).digest()


class DigestIndex:
    """Places, which are less than 2³², by digest.

    >>> index, digest = DigestIndex(), digest_of("boiler-7")
    >>> index.add(digest, 17)
    >>> index.places(digest)
    [17]
    """

    def __init__(self) -> None:
        self._shards = defaultdict[int, "array[int]"](partial(array, "Q"))

    def add(self, digest: bytes, place: int) -> None:
        """Add the place of a digest."""
        shard, first = self._start(digest)
        insort(shard, first | place)

    def places(self, digest: bytes) -> list[int]:
        """Return the places at which this digest may be."""
        shard, first = self._start(digest)
        at, found = bisect_left(shard, first), []
        while at < len(shard) and shard[at] - first <= _PLACE:
            found.append(shard[at] & _PLACE)
            at += 1
        return found

    def remove(self, digest: bytes, place: int) -> None:
        """Remove the place of a digest, which was added."""
        shard, first = self._start(digest)
        del shard[bisect_left(shard, first | place)]

    def _start(self, digest: bytes) -> tuple[array[int], int]:
        """Return the shard of a digest, and the least entry that it may have there."""
        (number,) = _FIRST(digest)
        return self._shards[number % SHARDS], number & ~_PLACE
