"""The pytest plugin of this package: the fixture `streamnorm_service`, an in-memory service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamnorm_client.testing import InMemoryService


@pytest.fixture
def streamnorm_service() -> Iterator[InMemoryService]:
    """Run a service in memory for one test; `streamnorm_service.client()` is connected to it."""
    from streamnorm_client.testing import InMemoryService  # noqa: PLC0415 - most test runs do not use it

    with InMemoryService() as service:
        yield service
