"""What the tests of both engines share: an office's readings, and a service that has had them.

Jobs run in environments of their own; they are no tests.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clusters.flink_cluster import Flink
from tests.clusters.readings import Office

collect_ignore_glob = ["*_job.py", "*_examples.py"]


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """Send an office's readings to a service."""
    return Office.served(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="session")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flink]:
    """Run a cluster of Flink."""
    with Flink(tmp_path_factory.mktemp("flink")) as running:
        yield running
