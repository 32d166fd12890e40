"""One lock per stream, there while somebody holds it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

#: The turns of those who wait for a lock, first come, first served.
Turns = deque[asyncio.Future[None]]


class StreamLocks(dict[str, Turns]):
    """The locks that are held, by stream id, and who waits for them; other streams are not in it."""

    @contextlib.asynccontextmanager
    async def acquire(self, stream_ids: Iterable[str]) -> AsyncIterator[None]:
        """Hold the locks of streams; the ids must be in byte order, which prevents deadlocks."""
        held: list[str] = []
        try:
            for stream_id in stream_ids:
                mine = Turns()
                turns = self.setdefault(stream_id, mine)
                if turns is not mine:
                    await self._wait(stream_id, turns)
                held.append(stream_id)
            yield
        finally:
            for stream_id in held:
                self._release(stream_id)

    async def _wait(self, stream_id: str, turns: Turns) -> None:
        """Wait until the lock's holder, or who waited before, hands it over."""
        turn = asyncio.get_running_loop().create_future()
        turns.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the lock was handed over already
                self._release(stream_id)
            raise

    def _release(self, stream_id: str) -> None:
        """Hand a lock over to who has waited longest, or give it up."""
        turns = self[stream_id]
        while turns:
            turn = turns.popleft()
            if not turn.done():  # else who waited was cancelled
                turn.set_result(None)
                return
        del self[stream_id]
