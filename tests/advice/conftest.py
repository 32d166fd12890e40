"""What the tests of advice share: a started application."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.http_calls import Api, running


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """Start the application with a store in memory."""
    async with running() as started:
        yield started
