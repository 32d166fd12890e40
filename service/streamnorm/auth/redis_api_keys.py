"""API keys that all replicas of the service share, stored as hashes in Valkey or Redis."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import orjson

from streamnorm.auth.api_keys import ApiKey, match, new_key
from streamnorm.errors import StoreUnavailable
from streamnorm.stores.redis.keyspace import tag

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from streamnorm.stores.redis.keyspace import Keyspace
    from streamnorm.stores.redis.topology import Topology


class RedisApiKeys:
    """The keys of a shared store, cached since the last `refresh`."""

    def __init__(self, nodes: Topology, keys: Keyspace) -> None:
        self._nodes = nodes
        # cannot collide with a stream's key: ids contain no slash
        self._place = f"{keys.prefix}:{tag(0)}/keys"
        #: None until the first refresh
        self._known: Mapping[str, ApiKey] | None = None

    def open(self) -> None:
        """Do nothing: the store is reached when the service starts."""

    @property
    def known(self) -> Mapping[str, ApiKey]:
        """The keys by id; a new object whenever they have changed.

        Raises:
            StoreUnavailable: they were not read yet, so that it is unknown whether a key is required.

        """
        if self._known is None:
            raise StoreUnavailable(f"the keys in {self._nodes.address} could not be read yet")
        return self._known

    def any(self) -> bool:
        """Return whether there is a key, revoked ones included."""
        return bool(self.known)

    def find(self, token: str) -> ApiKey | None:
        """Return the valid key that a token belongs to, or None, in time independent of the secret."""
        return match(self.known, token)

    async def refresh(self) -> None:
        """Reload the keys from the store.

        Raises:
            StoreUnavailable: the keys cannot be read; the cached ones stay in use.

        """
        fresh = {key.id: key for key in await self.all()}
        if fresh != self._known:  # a new object invalidates the authorization cache
            self._known = fresh

    async def create(self, name: str, scopes: Collection[str], prefix: str = "") -> str:
        """Create a key called `name` with `scopes` for streams whose ids start with `prefix`.

        Return the token, which cannot be recovered later.
        """
        token, key = new_key(name, scopes, prefix)
        await self._put(key)
        return token

    async def adopt(self, keys: Iterable[ApiKey]) -> int:
        """Add keys from another store, except those whose ids exist already; return how many were added."""
        return sum(await self._nodes.ask([(0, ("HSETNX", self._place, key.id, _encoded(key))) for key in keys]))

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key permanently; return whether there was such a key."""
        for key in await self.all():
            if key.id == key_id and key.revoked is None:
                await self._put(replace(key, revoked=time.time()))
                return True
        return False

    async def all(self) -> list[ApiKey]:
        """List all keys, revoked ones included, the oldest first."""
        (reply,) = await self._nodes.ask([(0, ("HGETALL", self._place))])
        keys = [_decoded(*pair) for pair in zip(reply[::2], reply[1::2], strict=True)]
        return sorted(keys, key=lambda key: (key.created, key.id))

    async def _put(self, key: ApiKey) -> None:
        await self._nodes.ask([(0, ("HSET", self._place, key.id, _encoded(key)))])


def _encoded(key: ApiKey) -> bytes:
    fields = {**asdict(key), "scopes": sorted(key.scopes), "hash": key.hash.hex()}
    del fields["id"]
    return orjson.dumps(fields)


def _decoded(key_id: bytes, fields: bytes) -> ApiKey:
    stored = orjson.loads(fields)
    attributes = {**stored, "scopes": frozenset(stored["scopes"]), "hash": bytes.fromhex(stored["hash"])}
    return ApiKey(key_id.decode(), **attributes)
