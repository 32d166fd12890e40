"""Copying streams from one store to another, blob by blob.

Rules:

1. A blob is copied as it is, and read back; a stream that differs in the target stays so, unless told otherwise.
2. What the target already has is not written again, so a copy that was cut off goes on where it was.
3. Nobody else may change either store meanwhile; where that shows, the copy ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from streamnorm.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from streamnorm.stores.local.sqlite import SQLiteStore

#: Streams between two looks at the progress: of 8 features each, 0.6 MB.
BATCH = 500


class BlobEndpoint(Protocol):
    """A store seen as ids and blobs, many at a time."""

    async def count(self) -> int:
        """Count the streams."""

    async def ids(self, after: str, limit: int) -> list[str]:
        """List ids in byte order, beyond one."""

    async def load(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the streams' blobs."""

    async def save(self, blobs: Mapping[str, bytes]) -> None:
        """Keep blobs."""

    async def close(self) -> None:
        """Close the store."""


@dataclass
class Tally:
    """What has become of the streams so far."""

    #: streams looked at
    seen: int = 0
    #: copied now
    copied: int = 0
    #: those that were there before, to the bit
    same: int = 0
    #: those that are there with another state, and were left so
    different: int = 0


async def copy_blobs(source: BlobEndpoint, target: BlobEndpoint, *, overwrite: bool = False) -> AsyncIterator[Tally]:
    """Copy every stream; returns how far it has come, again and again.

    Raises:
        StoreError: a store failed, or does not give back what was written.

    """
    tally = Tally()
    after = ""
    while ids := await source.ids(after, BATCH):
        ours, theirs = await source.load(ids), await target.load(ids)
        due: dict[str, bytes] = {}
        for stream_id, blob, had in zip(ids, ours, theirs, strict=True):
            if blob is None:
                raise StoreError(f"stream {stream_id!r} went away while it was copied: is a service running on it?")
            if had == blob:
                tally.same += 1
            elif had is None or overwrite:
                due[stream_id] = blob
            else:
                tally.different += 1
        await target.save(due)
        if await target.load(list(due)) != list(due.values()):
            raise StoreError("the target does not give back what was written: is a service running on it?")
        tally.copied += len(due)
        tally.seen += len(ids)
        after = ids[-1]
        yield tally


class SQLiteEndpoint:
    """A data folder's SQLite file."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def count(self) -> int:
        """Count the streams."""
        return self._store.count()

    async def ids(self, after: str, limit: int) -> list[str]:
        """List ids in byte order, beyond one."""
        return self._store.page("", after, limit)

    async def load(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the streams' blobs."""
        return [self._store.load(stream_id) for stream_id in ids]

    async def save(self, blobs: Mapping[str, bytes]) -> None:
        """Keep blobs."""
        self._store.save(blobs)

    async def close(self) -> None:
        """Close the file."""
        self._store.close()
