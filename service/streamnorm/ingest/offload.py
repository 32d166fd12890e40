"""What is worked on in another thread, so that it does not hold up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from streamnorm.engine.ports.stream_repository import IN_THREAD, ON_COPY, Execution

T = TypeVar("T")

#: Blocks of more values are worked on in another thread; for less, the way there and back costs about as much.
OFFLOAD_THRESHOLD = 10_000


def execution_of(size: int) -> Execution:
    """Return how to observe this many values: in a thread above the threshold."""
    return IN_THREAD if size > OFFLOAD_THRESHOLD else ON_COPY


async def offload(size: int, work: Callable[[], T]) -> T:
    """Run `work` on this many values, in a thread above the threshold."""
    return await asyncio.to_thread(work) if execution_of(size) is IN_THREAD else work()
