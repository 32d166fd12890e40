"""The names of the store's keys, and the cluster slots they map to.

The blob of stream `boiler-7` is `streamnorm:{p092}:boiler-7`, where `p092` is one of 1024 partitions: a hash tag, so
all keys of a partition are on one node. Besides the blobs each partition has an index, `streamnorm:{p092}`: the ids of
its streams as a sorted set, so that the cost of a listing depends on what is listed, not on what is stored. Both names
are stable.
"""

from __future__ import annotations

import zlib
from functools import cache

from streamnorm.compat.redis import key_slot

#: Many more than nodes, so that they spread evenly; few enough to query all of them for a page of a listing.
PARTITIONS = 1024
DEFAULT_PREFIX = "streamnorm"


def partition(stream_id: str) -> int:
    """Return the partition of a stream."""
    return zlib.crc32(stream_id.encode()) % PARTITIONS


def tag(number: int) -> str:
    """Return a partition's hash tag.

    >>> tag(146)
    '{p092}'
    """
    return f"{{p{number:03x}}}"


@cache
def slot(number: int) -> int:
    """Return the slot, out of a cluster's 16 384, that a partition maps to."""
    return key_slot(tag(number).encode())


class Keyspace:
    """The names of keys under a prefix.

    >>> Keyspace("streamnorm").blob("boiler-7")
    'streamnorm:{p092}:boiler-7'
    """

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        self.prefix = prefix
        self._starts = [f"{prefix}:{tag(number)}:" for number in range(PARTITIONS)]

    def blob(self, stream_id: str) -> str:
        """Return the key of a stream's blob."""
        return self._starts[partition(stream_id)] + stream_id

    def index(self, number: int) -> str:
        """Return the key of a partition's index."""
        return self._starts[number][:-1]
