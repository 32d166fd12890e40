"""A shared store as the source or the target of a copy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from streamnorm.errors import StoreError
from streamnorm.stores.redis.cas_batch import VERSION_SIZE
from streamnorm.stores.redis.keyspace import Keyspace, partition
from streamnorm.stores.redis.stream_index import StreamIndex
from streamnorm.stores.redis.topology import Topology

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamnorm.stores.redis.url import RedisURL


class RedisEndpoint:
    """A store in Valkey or Redis; a `streamnorm.stores.copy.BlobEndpoint`."""

    def __init__(self, address: RedisURL, prefix: str) -> None:
        self._nodes = Topology(address)
        self._keys = Keyspace(prefix)
        self._listing = StreamIndex(self._nodes, self._keys)

    async def count(self) -> int:
        """Count the streams."""
        await self._nodes.refresh()
        return await self._listing.count()

    async def ids(self, after: str, limit: int) -> list[str]:
        """List at most `limit` ids greater than `after`, in byte order."""
        return await self._listing.ids("", after, limit)

    async def load(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the streams' blobs in the order of `ids`; None for a missing stream."""
        return [None if blob is None else blob[VERSION_SIZE:] for blob in await self._listing.blobs(ids)]

    async def save(self, blobs: Mapping[str, bytes]) -> None:
        """Store blobs by stream id.

        Raises:
            StoreError: the store changed during the copy, or is unavailable.

        """
        existing = await self._listing.blobs(list(blobs))
        puts = []
        for (stream_id, blob), current in zip(blobs.items(), existing, strict=True):
            number = partition(stream_id)
            keys = (self._keys.blob(stream_id), self._keys.index(number))
            before = (current or b"")[:VERSION_SIZE]
            new = os.urandom(VERSION_SIZE) + blob
            puts.append((number, ("FCALL", "streamnorm_put_1", 2, *keys, before, new, 0, stream_id)))
        for reply in await self._nodes.ask(puts):
            # a retry after a lost reply finds what the first attempt has written
            if reply != 1 and reply[VERSION_SIZE:] not in blobs.values():
                raise StoreError(f"{self._nodes.address} changed during the copy: is a service running on it?")

    async def close(self) -> None:
        """Close the store."""
        await self._nodes.close()
