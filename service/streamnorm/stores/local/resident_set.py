"""The resident set: the streams in memory, how more are loaded, and which are evicted for them."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING

from streamnorm.errors import TooManyStreams
from streamnorm.stores.codec import decode
from streamnorm.stores.local.group_commit import GroupCommitter
from streamnorm.stores.local.packing import PackedStreams

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from streamnorm.engine.ports.blob_store import BlobStore
    from streamnorm.engine.ports.stream_repository import Durability
    from streamnorm.engine.streams.stream import Stream
    from streamnorm.stores.stream_locks import StreamLocks

#: Of 8 features a stream takes 1.8 kB of memory, packed at most 0.85: 100 MB for as many as these.
DEFAULT_MAX_RESIDENT_STREAMS = 100_000
#: A stream of 8 features takes 1.4 kB on disk: 14 GB in all.
DEFAULT_MAX_STREAMS = 10_000_000
#: One in this many resident streams is evicted at a time, which amortizes the search for idle ones.
EVICTION_SHARE = 16
#: Most of them: about 10 ms.
EVICTED_AT_ONCE = 4096
#: Streams that are kept as they are: to pack one and unpack it takes as long as some readings.
MAX_UNPACKED = 32_768
#: Streams packed before control returns to the event loop: about 5 ms.
PACKED_AT_ONCE = 1024


class ResidentSet:
    """The `max_resident` streams of a `store` that were changed last; the store may have `max_streams` in all.

    `locks` are held by who changes streams; `ruled` gives a stream of some id the configuration that rules want for it;
    `durability` and `clock` are those of `GroupCommitter`.
    """

    def __init__(
        self,
        store: BlobStore,
        locks: StreamLocks,
        ruled: Callable[[str, Stream], Stream],
        *,
        durability: Durability,
        max_resident: int,
        max_streams: int,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._locks = locks
        self._ruled = ruled
        self._max_resident = max_resident
        self._max_streams = max_streams
        #: in the order of their last commits, which the committer keeps
        self.streams: dict[str, Stream] = {}
        #: all of them committed and unlocked, and before those in `streams`; none is in both
        self._packed = PackedStreams()
        self.committer = GroupCommitter(store, self.streams, durability, clock, self._roll_back, pack=self.pack)
        #: how many streams there are, evicted ones included
        self.total = store.count()

    async def make_room(self, stream_ids: Collection[str]) -> None:
        """Evict streams until those named fit into memory.

        Raises:
            StoreError: commits fail.

        """
        if self.committer.failure is not None:
            await self.committer.wait_next_commit()
        wanted = sum(stream_id not in self.streams and stream_id not in self._packed for stream_id in stream_ids)
        while wanted and not self.has_room(wanted):
            if not self.committer.dirty and not self.committer.in_flight:
                break  # every resident stream is locked
            await self.committer.wait_next_commit()

    def has_room(self, wanted: int = 1) -> bool:
        """Return whether so many more streams fit into memory, evicting others as far as that awaits no commit."""
        while len(self) > max(0, self._max_resident - wanted):
            if not self._evict(wanted):
                return False
        return True

    def _evict(self, wanted: int) -> bool:
        """Evict the clean, unlocked streams committed longest ago; return whether there were any."""
        evicted = max(wanted, min(len(self) // EVICTION_SHARE, EVICTED_AT_ONCE))
        packed = self._packed.discard_oldest(evicted)
        idle = self._idle(evicted - packed)
        for stream_id in idle:
            del self.streams[stream_id]
        return bool(packed or idle)

    def _idle(self, count: int) -> list[str]:
        """Return so many clean, unlocked streams, those committed longest ago, or fewer."""
        idle = (key for key in self.streams if self.committer.is_persisted(key) and key not in self._locks)
        return list(islice(idle, count))

    def pack(self) -> bool:
        """Pack some of the streams that have not changed for longest; return whether there are more to pack."""
        most = min(len(self.streams) - MAX_UNPACKED, PACKED_AT_ONCE)
        idle = self._idle(most) if most > 0 else []
        self._packed.add({stream_id: self.streams.pop(stream_id) for stream_id in idle})
        return len(idle) == PACKED_AT_ONCE

    def unpack(self, stream_id: str) -> Stream | None:
        """Return a stream that was packed, which it is no more; None where there is none of this id."""
        stream = self._packed.pop(stream_id)
        if stream is not None:
            stream = self.streams[stream_id] = self._ruled(stream_id, stream)
        return stream

    def __len__(self) -> int:
        """Return how many streams are in memory."""
        return len(self.streams) + len(self._packed)

    def keep_if_room(self, stream_id: str, stream: Stream) -> None:
        """Take in a stream that was loaded to be read, unless all that are in memory are in use."""
        if stream_id not in self._packed and self.has_room():
            self.streams[stream_id] = stream

    def find(self, stream_id: str) -> Stream | None:
        """Return a stream from memory, or load it from the store into the resident set."""
        stream = self.streams.get(stream_id) or self.unpack(stream_id)
        if stream is None:
            stream = self.load(stream_id)
            if stream is not None:
                self.streams[stream_id] = stream
        return stream

    def load(self, stream_id: str) -> Stream | None:
        """Return a stream that is packed or not in memory as the store has it; None where there is none."""
        if not self.committer.is_persisted(stream_id):
            return None  # deleted, but the deletion is not committed yet
        blob = self._store.load(stream_id)
        return None if blob is None else self._ruled(stream_id, decode(stream_id, blob))

    def page(self, prefix: str, after: str, limit: int) -> list[tuple[str, Stream]]:
        """List at most `limit` streams with `prefix` and ids greater than `after` in byte order, evicted ones too."""
        unsaved = self.committer.dirty | self.committer.in_flight
        fresh = (key for key in unsaved if key in self.streams and key.startswith(prefix) and key > after)
        gone = sum(key not in self.streams for key in unsaved)
        stored = self._store.page(prefix, after, limit + gone)
        ids = sorted({*heapq.nsmallest(limit, fresh), *stored})
        streams: list[tuple[str, Stream]] = []
        for stream_id in ids:
            stream = self.streams.get(stream_id) or self.load(stream_id)
            if stream is not None:
                streams.append((stream_id, stream))
            if len(streams) == limit:
                break
        return streams

    def check_quota(self, new: int) -> None:
        """Check that so many new streams may be added.

        Raises:
            TooManyStreams: there would be more than `max_streams`.

        """
        if new and self.total + new > self._max_streams:
            raise TooManyStreams(self.total + new, self._max_streams)

    def commit_inline(self, stream_id: str, stream: Stream) -> None:
        """Put a stream in place that was changed inline, or is new, and commit it before if changes must be durable.

        Raises:
            StoreError: the commit failed; nothing was put in place.

        """
        if self.committer.waits:
            self.committer.commit_inline(stream_id, stream)
        else:
            self.committer.dirty.add(stream_id)
        if stream_id not in self.streams:
            self.total += 1
        self.streams[stream_id] = stream

    def install(self, stream_id: str, stream: Stream) -> None:
        """Put a changed or a new stream in place, to be committed."""
        before = self.streams.get(stream_id)
        self.committer.changed(stream_id, before)
        self.total += before is None
        self.streams[stream_id] = stream

    def forget(self, stream_id: str) -> None:
        """Delete a stream, from the store at the next commit."""
        self.streams.pop(stream_id, None)
        self._packed.discard(stream_id)
        self.total -= 1
        self.committer.dirty.add(stream_id)

    def _roll_back(self, before: Mapping[str, Stream | None]) -> None:
        """Restore streams to their state before changes whose commit failed."""
        for stream_id, stream in before.items():
            self.total += (stream is not None) - (stream_id in self.streams)
            if stream is None:
                self.streams.pop(stream_id, None)
            else:
                self.streams[stream_id] = stream
