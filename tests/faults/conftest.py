"""What the tests of faults share: a real service, one for a whole file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.processes import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service that the tests leave running."""
    with Service(tmp_path_factory.mktemp("service")) as running:
        yield running
