"""Whose turn it is to work on a stream."""

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
    """The streams that somebody works on alone, by their ids; one that nobody works on, or waits for, is not in it."""

    @contextlib.asynccontextmanager
    async def acquire(self, stream_ids: Iterable[str]) -> AsyncIterator[None]:
        """Hold the turn of streams, given in byte order so that no two holders wait for each other."""
        turns: list[tuple[str, _Lock]] = []
        held = 0
        try:
            for stream_id in stream_ids:
                turn = self.setdefault(stream_id, _Lock())
                turn.holders += 1
                turns.append((stream_id, turn))
                await turn.lock.acquire()
                held += 1
            yield
        finally:
            for place, (stream_id, turn) in enumerate(turns):
                if place < held:
                    turn.lock.release()
                self._release(stream_id, turn)

    def _release(self, stream_id: str, turn: _Lock) -> None:
        turn.holders -= 1
        if not turn.holders:
            del self[stream_id]
