"""Stores that run for the whole session; each test has keys of its own in them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.stores.redis.streams import SharedStreams
from streamnorm.stores.redis.url import parse_redis_url
from tests.support.redis_servers import Cluster, Server, cluster
from tests.support.replicas import Start

numbers = itertools.count()


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server that runs alone."""
    with Server(tmp_path_factory.mktemp("single")) as server:
        yield server


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Yield a cluster that no test harms."""
    with cluster(tmp_path_factory.mktemp("cluster"), "--appendonly", "yes") as made:
        yield made


@pytest.fixture(params=["single", "shards"])
def url(request: pytest.FixtureRequest) -> str:
    """Return a store's address: of one node, and of a cluster."""
    found: str = request.getfixturevalue(request.param).url
    return found


@pytest.fixture
def prefix() -> str:
    """Return what the test's keys begin with."""
    return f"test-{next(numbers)}"


@pytest.fixture
async def start(url: str, prefix: str) -> AsyncIterator[Start]:
    """Yield what starts replicas; they are stopped in the end."""
    async with AsyncExitStack() as running:

        async def started(**options: Any) -> SharedStreams:
            replica = SharedStreams(parse_redis_url(url), plan(configuration({}, {})), **{"prefix": prefix, **options})
            running.push_async_callback(replica.stop)
            await replica.start()
            return replica

        yield started
