"""What replicas of the service share: streams and keys in Valkey or Redis, for which the extra `redis` is needed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamnorm.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamnorm.bridges import Bridge
    from streamnorm.engine.plan import Plan
    from streamnorm.engine.streams import Streams
    from streamnorm.events import Hub
    from streamnorm.settings import Settings
    from streamnorm.stores.copying import Depot
    from streamnorm.stores.keys import Keys
    from streamnorm.stores.replicated import Replicated


@contextmanager
def needing_extra() -> Iterator[None]:
    """Tell which extra a missing module is of.

    Raises:
        StoreError: a module is missing.

    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise StoreError(f"a shared store needs the extra: pip install 'streamnorm[redis]' ({error})") from error


def streams(settings: Settings, default_plan: Plan) -> Replicated:
    """Give the streams of the store that the settings name.

    Raises:
        StoreError: its address cannot be understood, or the extra is missing.

    """
    with needing_extra():
        from streamnorm.stores.redis.address import parse  # noqa: PLC0415 - only here it is needed
        from streamnorm.stores.replicated import Replicated  # noqa: PLC0415
    return Replicated(
        parse(settings.store),
        default_plan,
        prefix=settings.store_prefix,
        replicas=settings.store_replicas if settings.durability == "always" else 0,
        max_remembered=settings.max_resident_streams,
        ttl=settings.stream_ttl,
    )


def relay(streams: Streams, hub: Hub) -> Bridge:
    """Give what brings the events of other replicas here, and those from here to them."""
    with needing_extra():
        from streamnorm.bridges.relay import Relay  # noqa: PLC0415
        from streamnorm.stores.replicated import Replicated  # noqa: PLC0415
    assert isinstance(streams, Replicated)  # noqa: S101 - where the store is shared, they are
    return Relay(hub, streams.nodes, streams.keys.prefix)


def keys(streams: Streams) -> Keys:
    """Give the keys that lie beside shared streams; those are to be started first."""
    with needing_extra():
        from streamnorm.stores.redis.keyring import SharedKeys  # noqa: PLC0415
        from streamnorm.stores.replicated import Replicated  # noqa: PLC0415
    assert isinstance(streams, Replicated)  # noqa: S101 - where the store is shared, they are
    made = SharedKeys(streams.nodes, streams.keys)
    streams.watch.watchers.append(made.refresh)
    return made


def keys_at(store: str, prefix: str) -> Keys:
    """Give the keys of a shared store to the command line.

    Raises:
        StoreError: its address cannot be understood, or the extra is missing.

    """
    with needing_extra():
        from streamnorm.stores.redis.address import parse  # noqa: PLC0415
        from streamnorm.stores.redis.keyring import SharedKeys  # noqa: PLC0415
        from streamnorm.stores.redis.keyspace import Keyspace  # noqa: PLC0415
        from streamnorm.stores.redis.nodes import Nodes  # noqa: PLC0415
    return SharedKeys(Nodes(parse(store)), Keyspace(prefix))


def depot(store: str, prefix: str) -> Depot:
    """Give a shared store as the source or the target of a copy.

    Raises:
        StoreError: its address cannot be understood, or the extra is missing.

    """
    with needing_extra():
        from streamnorm.stores.redis.address import parse  # noqa: PLC0415
        from streamnorm.stores.redis.depot import RedisDepot  # noqa: PLC0415
    return RedisDepot(parse(store), prefix)
