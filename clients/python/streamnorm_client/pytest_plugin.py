"""What pytest finds by itself where this package is installed: `streamnorm_service`, a service in memory for a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamnorm_client.testing import InMemoryService


@pytest.fixture
def streamnorm_service() -> Iterator[InMemoryService]:
    """Run a service in memory for one test; `streamnorm_service.client()` is connected to it."""
    from streamnorm_client.testing import InMemoryService  # noqa: PLC0415 - most test runs never ask for it

    with InMemoryService() as service:
        yield service
