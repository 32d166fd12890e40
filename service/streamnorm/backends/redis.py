"""The backend that replicas share, in Valkey or Redis; imported only where it is used, since it needs the extra."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from streamnorm.auth.redis_api_keys import RedisApiKeys
from streamnorm.bridges.replica_relay import Relay
from streamnorm.stores.redis.copy_endpoint import RedisEndpoint
from streamnorm.stores.redis.keyspace import Keyspace
from streamnorm.stores.redis.streams import SharedStreams
from streamnorm.stores.redis.topology import Topology
from streamnorm.stores.redis.url import parse_redis_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from streamnorm.auth.api_keys import ApiKey
    from streamnorm.engine.configuration.plan import Plan
    from streamnorm.settings import Settings
    from streamnorm.stores.copy import BlobEndpoint

T = TypeVar("T")

__all__ = ["KeysOfCommandLine", "Relay", "blob_endpoint", "open_store"]


def open_store(settings: Settings, default_plan: Plan) -> tuple[SharedStreams, RedisApiKeys]:
    """Open the store in the `settings`; new streams take the `default_plan`.

    Raises:
        StoreError: its address cannot be understood.

    """
    streams = SharedStreams(
        parse_redis_url(settings.store),
        default_plan,
        prefix=settings.store_prefix,
        replicas=settings.store_replicas if settings.durability == "always" else 0,
        max_remembered=settings.max_resident_streams,
        ttl=settings.stream_ttl,
    )
    keys = RedisApiKeys(streams.topology, streams.keys)
    streams.health.watchers.append(keys.refresh)
    return streams, keys


def blob_endpoint(store: str, prefix: str) -> BlobEndpoint:
    """Return a shared `store`, whose keys begin with `prefix`, as the source or the target of a copy.

    Raises:
        StoreError: its address cannot be understood.

    """
    return RedisEndpoint(parse_redis_url(store), prefix)


class KeysOfCommandLine:
    """The API keys of a shared `store`, whose keys begin with `prefix`, for the command line: each call connects anew.

    Raises:
        StoreError: the store's address cannot be understood.

    """

    def __init__(self, store: str, prefix: str) -> None:
        self._address = parse_redis_url(store)
        self._keyspace = Keyspace(prefix)

    def create(self, name: str, scopes: Collection[str], prefix: str = "") -> str:
        """Create a key called `name` with `scopes` for streams whose ids start with `prefix`; return its token."""
        return asyncio.run(self._connected(lambda keys: keys.create(name, scopes, prefix)))

    def adopt(self, keys: Iterable[ApiKey]) -> int:
        """Add keys from another store, except those whose ids exist already; return how many were added."""
        return asyncio.run(self._connected(lambda own: own.adopt(keys)))

    def revoke(self, key_id: str) -> bool:
        """Revoke a key permanently; return whether there was such a key."""
        return asyncio.run(self._connected(lambda keys: keys.revoke(key_id)))

    def all(self) -> list[ApiKey]:
        """List all keys, revoked ones included, the oldest first."""
        return asyncio.run(self._connected(RedisApiKeys.all))

    async def _connected(self, work: Callable[[RedisApiKeys], Awaitable[T]]) -> T:
        nodes = Topology(self._address)
        try:
            await nodes.refresh()
            return await work(RedisApiKeys(nodes, self._keyspace))
        finally:
            await nodes.close()
