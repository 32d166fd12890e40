"""Copies streams from one store to another, blob by blob.

Rules:

1. Blobs are copied verbatim and read back; a stream that differs in the target is kept unless `overwrite` is set.
2. Blobs that the target already has are not written again, so an interrupted copy can be resumed.
3. No other process may write to either store during a copy; the copy fails when it detects such a write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from streamnorm.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from streamnorm.stores.local.sqlite import SQLiteStore

#: Streams per batch, and so per progress report: 0.6 MB at 8 features each.
BATCH = 500


class BlobEndpoint(Protocol):
    """A store's bulk access by id and blob."""

    async def count(self) -> int:
        """Count the streams."""

    async def ids(self, after: str, limit: int) -> list[str]:
        """List at most `limit` ids greater than `after`, in byte order."""

    async def load(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the streams' blobs in the order of `ids`; None for a missing stream."""

    async def save(self, blobs: Mapping[str, bytes]) -> None:
        """Store blobs by stream id."""

    async def close(self) -> None:
        """Close the store."""


@dataclass
class Tally:
    """Progress counters of a copy."""

    #: streams processed
    seen: int = 0
    #: streams written to the target
    copied: int = 0
    #: streams whose blob in the target was already identical
    same: int = 0
    #: streams whose state in the target differs and was not overwritten
    different: int = 0


async def copy_blobs(source: BlobEndpoint, target: BlobEndpoint, *, overwrite: bool = False) -> AsyncIterator[Tally]:
    """Copy every stream from `source` to `target`, yielding the running tally after each batch.

    A stream whose state in the target differs is replaced only with `overwrite`.

    Raises:
        StoreError: a store failed, or the target does not return what was written.

    """
    tally = Tally()
    after = ""
    while ids := await source.ids(after, BATCH):
        ours, theirs = await source.load(ids), await target.load(ids)
        due: dict[str, bytes] = {}
        for stream_id, blob, existing in zip(ids, ours, theirs, strict=True):
            if blob is None:
                raise StoreError(f"stream {stream_id!r} disappeared during the copy: is a service running on it?")
            if existing == blob:
                tally.same += 1
            elif existing is None or overwrite:
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
        """List at most `limit` ids greater than `after`, in byte order."""
        return self._store.page("", after, limit)

    async def load(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the streams' blobs in the order of `ids`; None for a missing stream."""
        return [self._store.load(stream_id) for stream_id in ids]

    async def save(self, blobs: Mapping[str, bytes]) -> None:
        """Store blobs by stream id."""
        self._store.save(blobs)

    async def close(self) -> None:
        """Close the file."""
        self._store.close()
