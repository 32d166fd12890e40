"""What replicas of the service share: streams and keys in Valkey or Redis, for which the extra `redis` is needed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamnorm.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamnorm.auth.api_keys import SQLiteApiKeys
    from streamnorm.bridges import Bridge
    from streamnorm.engine.plan import Plan
    from streamnorm.engine.ports.stream_repository import StreamRepository
    from streamnorm.events.hub import EventHub
    from streamnorm.settings import Settings
    from streamnorm.stores.copy import BlobEndpoint
    from streamnorm.stores.redis.streams import SharedStreams


@contextmanager
def requires_redis_extra() -> Iterator[None]:
    """Tell which extra a missing module is of.

    Raises:
        StoreError: a module is missing.

    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise StoreError(f"a shared store needs the extra: pip install 'streamnorm[redis]' ({error})") from error


def shared_streams(settings: Settings, default_plan: Plan) -> SharedStreams:
    """Return the streams of the store that the settings name.

    Raises:
        StoreError: its address cannot be understood, or the extra is missing.

    """
    with requires_redis_extra():
        from streamnorm.stores.redis.streams import SharedStreams  # noqa: PLC0415
        from streamnorm.stores.redis.url import parse_redis_url  # noqa: PLC0415 - only here it is needed
    return SharedStreams(
        parse_redis_url(settings.store),
        default_plan,
        prefix=settings.store_prefix,
        replicas=settings.store_replicas if settings.durability == "always" else 0,
        max_remembered=settings.max_resident_streams,
        ttl=settings.stream_ttl,
    )


def replica_relay(streams: StreamRepository, hub: EventHub) -> Bridge:
    """Return what brings the events of other replicas here, and those from here to them."""
    with requires_redis_extra():
        from streamnorm.bridges.replica_relay import Relay  # noqa: PLC0415
        from streamnorm.stores.redis.streams import SharedStreams  # noqa: PLC0415
    assert isinstance(streams, SharedStreams)  # noqa: S101 - where the store is shared, they are
    return Relay(hub, streams.topology, streams.keys.prefix)


def shared_api_keys(streams: StreamRepository) -> SQLiteApiKeys:
    """Return the keys that lie beside shared streams; those are to be started first."""
    with requires_redis_extra():
        from streamnorm.auth.redis_api_keys import RedisApiKeys  # noqa: PLC0415
        from streamnorm.stores.redis.streams import SharedStreams  # noqa: PLC0415
    assert isinstance(streams, SharedStreams)  # noqa: S101 - where the store is shared, they are
    made = RedisApiKeys(streams.topology, streams.keys)
    streams.health.watchers.append(made.refresh)
    return made


def api_keys_at(store: str, prefix: str) -> SQLiteApiKeys:
    """Return the keys of a shared store to the command line.

    Raises:
        StoreError: its address cannot be understood, or the extra is missing.

    """
    with requires_redis_extra():
        from streamnorm.auth.redis_api_keys import RedisApiKeys  # noqa: PLC0415
        from streamnorm.stores.redis.keyspace import Keyspace  # noqa: PLC0415
        from streamnorm.stores.redis.topology import Topology  # noqa: PLC0415
        from streamnorm.stores.redis.url import parse_redis_url  # noqa: PLC0415
    return RedisApiKeys(Topology(parse_redis_url(store)), Keyspace(prefix))


def blob_endpoint(store: str, prefix: str) -> BlobEndpoint:
    """Return a shared store as the source or the target of a copy.

    Raises:
        StoreError: its address cannot be understood, or the extra is missing.

    """
    with requires_redis_extra():
        from streamnorm.stores.redis.copy_endpoint import RedisEndpoint  # noqa: PLC0415
        from streamnorm.stores.redis.url import parse_redis_url  # noqa: PLC0415
    return RedisEndpoint(parse_redis_url(store), prefix)
