"""What the streaming tests share: a real service, one for a whole file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.processes import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service; tests take streams of their own names, and leave it running."""
    with Service(tmp_path_factory.mktemp("service"), STREAMNORM_MAX_READING_BYTES="20000") as running:
        yield running


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> str:
    """Return the test a stream of its own."""
    name: str = request.node.name
    return name.replace("[", ".").replace("]", "")[:128]
