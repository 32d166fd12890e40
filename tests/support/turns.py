"""How often others have their turn on the event loop while something is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any


async def turns_during(work: Awaitable[Any]) -> int:
    """Count the turns that another task of the event loop has until `work` is done."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    before = turns
    await work
    task.cancel()
    return turns - before
