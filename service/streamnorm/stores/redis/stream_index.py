"""Listing streams in the order of their ids, out of the partitions' indexes."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from streamnorm.stores.codec import decode
from streamnorm.stores.redis.cas_batch import VERSION_SIZE
from streamnorm.stores.redis.keyspace import PARTITIONS, partition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamnorm.engine.stream import Stream
    from streamnorm.stores.redis.keyspace import Keyspace
    from streamnorm.stores.redis.topology import Topology

#: Ids asked of each partition beyond its share; then few of them are asked twice.
SPARE = 3


class StreamIndex:
    """Finds ids and blobs."""

    def __init__(self, nodes: Topology, keys: Keyspace) -> None:
        self._nodes = nodes
        self._keys = keys

    async def count(self) -> int:
        """Count the streams; those that have expired are counted until somebody has listed them."""
        cards = [(number, ("ZCARD", self._keys.index(number))) for number in range(PARTITIONS)]
        return sum(await self._nodes.ask(cards))

    async def streams(self, prefix: str, after: str, limit: int) -> list[tuple[str, Stream]]:
        """Return at most `limit` streams whose ids start with the prefix, in byte order, greater than `after`."""
        found: list[tuple[str, Stream]] = []
        while len(found) < limit:
            ids = await self.ids(prefix, after, limit - len(found))
            if not ids:
                break
            blobs = await self.blobs(ids)
            gone = [stream_id for stream_id, blob in zip(ids, blobs, strict=True) if blob is None]
            await self._tidy(gone)
            found += [
                (stream_id, decode(stream_id, blob[VERSION_SIZE:]))
                for stream_id, blob in zip(ids, blobs, strict=True)
                if blob is not None
            ]
            after = ids[-1]
        return found

    async def ids(self, prefix: str, after: str, limit: int) -> list[str]:
        """Return at most `limit` ids that start with the prefix, in byte order, greater than `after`."""
        found: list[str] = []
        #: where each partition's search goes on; a partition that has no more ids is not in it
        begins = dict.fromkeys(range(PARTITIONS), f"[{prefix}" if prefix > after else f"({after}" if after else "-")
        # "~" is the last character an id may have, so everything with the prefix comes before prefix + DEL.
        end = f"({prefix}\x7f" if prefix else "+"
        share = limit // PARTITIONS + SPARE
        while begins:
            asked = list(begins)
            replies = await self._nodes.ask(
                [
                    (number, ("ZRANGE", self._keys.index(number), begins[number], end, "BYLEX", "LIMIT", 0, share))
                    for number in asked
                ]
            )
            for number, reply in zip(asked, replies, strict=True):
                given = [stream_id.decode() for stream_id in reply]
                found += given
                if len(given) < share:
                    del begins[number]
                else:
                    begins[number] = f"({given[-1]}"
            found = heapq.nsmallest(limit, found)
            if len(found) == limit:  # beyond the last of them nobody need look
                begins = {number: begin for number, begin in begins.items() if begin[1:] < found[-1]}
        return found

    async def blobs(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the blobs of streams, each with its version in front."""
        return await self._nodes.ask([(partition(key), ("GET", self._keys.blob(key))) for key in ids])

    async def _tidy(self, gone: Sequence[str]) -> None:
        """Take streams out of the indexes that have expired."""
        await self._nodes.ask(
            [
                (
                    (number := partition(stream_id)),
                    ("FCALL", "streamnorm_tidy_1", 2, self._keys.blob(stream_id), self._keys.index(number), stream_id),
                )
                for stream_id in gone
            ]
        )
