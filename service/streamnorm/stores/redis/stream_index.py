"""Lists streams in the order of their ids by merging the partitions' indexes."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from streamnorm.engine.names import LAST
from streamnorm.stores.codec import decode
from streamnorm.stores.redis.cas_batch import VERSION_SIZE
from streamnorm.stores.redis.keyspace import PARTITIONS, partition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamnorm.engine.streams.stream import Stream
    from streamnorm.stores.redis.keyspace import Keyspace
    from streamnorm.stores.redis.topology import Topology

#: Ids requested of each partition beyond its share, so that few partitions need a second request.
SPARE = 3


class StreamIndex:
    """Lists ids and loads blobs."""

    def __init__(self, nodes: Topology, keys: Keyspace) -> None:
        self._nodes = nodes
        self._keys = keys

    async def count(self) -> int:
        """Count the streams, including expired ones that no listing has removed from the indexes yet."""
        cards = [(number, ("ZCARD", self._keys.index(number))) for number in range(PARTITIONS)]
        return sum(await self._nodes.ask(cards))

    async def streams(self, prefix: str, after: str, limit: int) -> list[tuple[str, Stream]]:
        """Return at most `limit` streams whose ids start with the prefix, in byte order, greater than `after`."""
        streams: list[tuple[str, Stream]] = []
        while len(streams) < limit:
            ids = await self.ids(prefix, after, limit - len(streams))
            if not ids:
                break
            blobs = await self.blobs(ids)
            gone = [stream_id for stream_id, blob in zip(ids, blobs, strict=True) if blob is None]
            await self._tidy(gone)
            streams += [
                (stream_id, decode(stream_id, blob[VERSION_SIZE:]))
                for stream_id, blob in zip(ids, blobs, strict=True)
                if blob is not None
            ]
            after = ids[-1]
        return streams

    async def ids(self, prefix: str, after: str, limit: int) -> list[str]:
        """Return at most `limit` ids that start with the prefix, in byte order, greater than `after`."""
        ids: list[str] = []
        #: the lower bound of each partition's next request; exhausted partitions are removed
        begins = dict.fromkeys(range(PARTITIONS), f"[{prefix}" if prefix > after else f"({after}" if after else "-")
        end = f"({prefix}{LAST}" if prefix else "+"
        share = limit // PARTITIONS + SPARE
        while begins:
            numbers = list(begins)
            replies = await self._nodes.ask(
                [
                    (number, ("ZRANGE", self._keys.index(number), begins[number], end, "BYLEX", "LIMIT", 0, share))
                    for number in numbers
                ]
            )
            for number, reply in zip(numbers, replies, strict=True):
                members = [stream_id.decode() for stream_id in reply]
                ids += members
                if len(members) < share:
                    del begins[number]
                else:
                    begins[number] = f"({members[-1]}"
            ids = heapq.nsmallest(limit, ids)
            if len(ids) == limit:  # partitions that are already past the last id cannot contribute
                begins = {number: begin for number, begin in begins.items() if begin[1:] < ids[-1]}
        return ids

    async def blobs(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the blobs of streams, each preceded by its version."""
        return await self._nodes.ask([(partition(key), ("GET", self._keys.blob(key))) for key in ids])

    async def _tidy(self, gone: Sequence[str]) -> None:
        """Remove expired streams from the indexes."""
        await self._nodes.ask(
            [
                (
                    (number := partition(stream_id)),
                    ("FCALL", "streamnorm_tidy_1", 2, self._keys.blob(stream_id), self._keys.index(number), stream_id),
                )
                for stream_id in gone
            ]
        )
