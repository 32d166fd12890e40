"""API keys that all replicas of the service share, stored as hashes in Valkey or Redis."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from streamnorm.auth.api_keys import ApiKey, SQLiteApiKeys, hash_secret
from streamnorm.errors import StoreUnavailable
from streamnorm.stores.redis.keyspace import tag

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Iterable

    from streamnorm.stores.redis.keyspace import Keyspace
    from streamnorm.stores.redis.topology import Topology

T = TypeVar("T")


class RedisApiKeys(SQLiteApiKeys):
    """The keys of a shared store, cached since the last `refresh`."""

    def __init__(self, nodes: Topology, keys: Keyspace) -> None:
        self._nodes = nodes
        # cannot collide with a stream's key: ids contain no slash
        self._place = f"{keys.prefix}:{tag(0)}/keys"
        self._known = {}
        self._read = False

    async def refresh(self) -> None:
        """Reload the keys from the store.

        Raises:
            StoreUnavailable: the keys cannot be read; the cached ones stay in use.

        """
        (reply,) = await self._nodes.ask([(0, ("HGETALL", self._place))])
        keys = [_decoded(*pair) for pair in zip(reply[::2], reply[1::2], strict=True)]
        fresh = {key.id: key for key in sorted(keys, key=lambda key: (key.created, key.id))}
        if fresh != self._known:  # a new object invalidates the authorization cache
            self._known = fresh
        self._read = True

    def create(self, name: str, scopes: Collection[str], prefix: str = "") -> str:
        """Create a key called `name` with `scopes` for streams whose ids start with `prefix`.

        Return the token, which cannot be recovered later.
        """
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        token = f"sn_{key_id}_{secret}"
        self._alone(self._put(ApiKey(key_id, name, frozenset(scopes), prefix, time.time(), None, hash_secret(token))))
        return token

    def revoke(self, key_id: str) -> bool:
        """Revoke a key permanently; return whether there was such a key."""
        key = {known.id: known for known in self.all()}.get(key_id)
        if key is None or key.revoked is not None:
            return False
        self._alone(self._put(ApiKey(**{**asdict(key), "revoked": time.time()})))
        return True

    def all(self) -> list[ApiKey]:
        """List all keys, revoked ones included, the oldest first."""
        self._alone(self.refresh())
        return super().all()

    def close(self) -> None:
        """Do nothing: the connections belong to the streams."""

    def _reload_if_changed(self) -> None:
        if not self._read:  # until then it is unknown whether a key is required
            raise StoreUnavailable(f"the keys in {self._nodes.address} could not be read yet")

    def adopt(self, keys: Iterable[ApiKey]) -> int:
        """Add keys from another store, except those whose ids exist already; return how many were added."""
        commands = [(0, ("HSETNX", self._place, key.id, _encoded(key))) for key in keys]
        return sum(self._alone(self._nodes.ask(commands)))

    async def _put(self, key: ApiKey) -> None:
        await self._nodes.ask([(0, ("HSET", self._place, key.id, _encoded(key)))])

    def _alone(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in an event loop of its own, for the command line."""

        async def run() -> T:
            try:
                await self._nodes.refresh()
                return await work
            finally:
                work.close()
                await self._nodes.close()

        return asyncio.run(run())


def _encoded(key: ApiKey) -> bytes:
    fields = {**asdict(key), "scopes": sorted(key.scopes), "hash": key.hash.hex()}
    del fields["id"]
    return orjson.dumps(fields)


def _decoded(key_id: bytes, fields: bytes) -> ApiKey:
    stored = orjson.loads(fields)
    attributes = {**stored, "scopes": frozenset(stored["scopes"]), "hash": bytes.fromhex(stored["hash"])}
    return ApiKey(key_id.decode(), **attributes)
