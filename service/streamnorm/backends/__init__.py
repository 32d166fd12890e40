"""Where a service's streams and API keys are: in this process and its folder, or in a store that replicas share."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamnorm.auth.api_keys import SQLiteApiKeys
from streamnorm.auth.ports import ApiKeys, EditableApiKeys
from streamnorm.errors import StoreError
from streamnorm.settings import is_shared
from streamnorm.stores.local.open import open_store
from streamnorm.stores.local.write_behind import WriteBehindStreams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from streamnorm.bridges import Bridge
    from streamnorm.engine.configuration.plan import Plan
    from streamnorm.engine.ports.blob_store import BlobStore
    from streamnorm.engine.ports.stream_repository import StreamRepository
    from streamnorm.events.hub import EventHub
    from streamnorm.settings import Settings
    from streamnorm.stores.copy import BlobEndpoint


@dataclass(frozen=True)
class Backend:
    """The streams and the keys of a service, and what connects it with its other replicas."""

    streams: StreamRepository
    api_keys: ApiKeys
    #: builds the bridges between replicas
    relays: Callable[[EventHub], list[Bridge]] = lambda _: []


def open_backend(settings: Settings, default_plan: Plan, store: BlobStore | None = None) -> Backend:
    """Open the backend in the `settings`, or one of this process on a `store`; new streams take the `default_plan`.

    Raises:
        StoreError: the store cannot be opened, or the extra is missing.

    """
    if store is None and settings.shared:
        with requires_redis_extra():
            from streamnorm.backends import redis  # noqa: PLC0415 - an extra
        streams, keys = redis.open_store(settings, default_plan)
        return Backend(streams, keys, lambda hub: [redis.Relay(hub, streams.topology, streams.keys.prefix)])
    expiring = settings.stream_ttl > 0
    local = WriteBehindStreams(
        store or open_store(settings.store, settings.data_dir, settings.durability, expiring=expiring),
        default_plan,
        durability=settings.durability,
        max_resident=settings.max_resident_streams,
        max_streams=settings.max_streams,
        ttl=settings.stream_ttl,
    )
    return Backend(local, SQLiteApiKeys(settings.data_dir))


def editable_api_keys(store: str, folder: Path, prefix: str) -> EditableApiKeys:
    """Return the keys of a shared `store`, where its keys begin with `prefix`, or those of the data `folder`.

    Raises:
        StoreError: the store's address cannot be understood, or the extra is missing.

    """
    if not is_shared(store):
        return SQLiteApiKeys(folder)
    with requires_redis_extra():
        from streamnorm.backends import redis  # noqa: PLC0415 - an extra
    return redis.KeysOfCommandLine(store, prefix)


def shared_blob_endpoint(store: str, prefix: str) -> BlobEndpoint:
    """Return a shared `store`, where its keys begin with `prefix`, as the source or the target of a copy.

    Raises:
        StoreError: its address cannot be understood, or the extra is missing.

    """
    with requires_redis_extra():
        from streamnorm.backends import redis  # noqa: PLC0415 - an extra
    return redis.blob_endpoint(store, prefix)


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
