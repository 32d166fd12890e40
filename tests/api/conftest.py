"""What the API's tests share: a started application."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.http_calls import Api, running


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """Start the application with a store in memory."""
    async with running(max_reading_bytes=20_000, max_block_bytes=40_000, max_rows=200, max_features=20) as started:
        yield started


@pytest.fixture
async def warm(api: Api) -> Api:
    """Let the stream boiler-7 have a temperature, a door and a thermal image, and its last number be 17."""
    rows = [(21.4, 0, [[1, 2], [3, 4]]), (21.9, 1, [[2, 2], [3, 5]]), (20.1, 0, [[1, 1], [3, 9]])]
    for seq, (temp, door, ir) in enumerate(rows, 15):
        await api.observe("boiler-7", {"values": {"temp": temp, "door": door, "ir": ir}, "seq": seq})
    return api
