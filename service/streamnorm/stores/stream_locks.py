"""One lock per stream, created on demand."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


class _Lock:
    __slots__ = ("holders", "lock")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.holders = 0


class StreamLocks(dict[str, _Lock]):
    """The locks that are held or awaited, by stream id; other streams are not in it."""

    @contextlib.asynccontextmanager
    async def acquire(self, stream_ids: Iterable[str]) -> AsyncIterator[None]:
        """Hold the locks of streams; the ids must be in byte order, which prevents deadlocks."""
        locks: list[tuple[str, _Lock]] = []
        held = 0
        try:
            for stream_id in stream_ids:
                entry = self.setdefault(stream_id, _Lock())
                entry.holders += 1
                locks.append((stream_id, entry))
                await entry.lock.acquire()
                held += 1
            yield
        finally:
            for index, (stream_id, entry) in enumerate(locks):
                if index < held:
                    entry.lock.release()
                self._release(stream_id, entry)

    def _release(self, stream_id: str, entry: _Lock) -> None:
        entry.holders -= 1
        if not entry.holders:
            del self[stream_id]
