"""Keys that all replicas of the service share, kept hashed in their store, as `streamnorm.auth.api_keys` keeps them."""

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
    """The keys of a shared store; what is known of them is as old as the last `refresh`."""

    def __init__(self, nodes: Topology, keys: Keyspace) -> None:
        self._nodes = nodes
        # no stream's name: ids have no slash
        self._place = f"{keys.prefix}:{tag(0)}/keys"
        self._known = {}
        self._read = False

    async def refresh(self) -> None:
        """Read the keys anew.

        Raises:
            StoreUnavailable: they cannot be read; what was known stays so.

        """
        (found,) = await self._nodes.ask([(0, ("HGETALL", self._place))])
        keys = [_decoded(*pair) for pair in zip(found[::2], found[1::2], strict=True)]
        fresh = {key.id: key for key in sorted(keys, key=lambda key: (key.created, key.id))}
        if fresh != self._known:  # else what was decided by them would be decided anew
            self._known = fresh
        self._read = True

    def create(self, name: str, scopes: Collection[str], prefix: str = "") -> str:
        """Build a key and give it; nobody can do so again."""
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        token = f"sn_{key_id}_{secret}"
        self._alone(self._put(ApiKey(key_id, name, frozenset(scopes), prefix, time.time(), None, hash_secret(token))))
        return token

    def revoke(self, key_id: str) -> bool:
        """Build a key useless for good; returns whether there was such a one."""
        key = {known.id: known for known in self.all()}.get(key_id)
        if key is None or key.revoked is not None:
            return False
        self._alone(self._put(ApiKey(**{**asdict(key), "revoked": time.time()})))
        return True

    def all(self) -> list[ApiKey]:
        """List every key there ever was, the oldest first."""
        self._alone(self.refresh())
        return super().all()

    def close(self) -> None:
        """Do nothing: the connections are the streams'."""

    def _reload_if_changed(self) -> None:
        if not self._read:  # and so nobody knows yet whether a key is needed
            raise StoreUnavailable(f"the keys in {self._nodes.address} could not be read yet")

    def adopt(self, keys: Iterable[ApiKey]) -> int:
        """Update with keys that were made elsewhere, where there are none of their ids; says how many were new."""
        asked = [(0, ("HSETNX", self._place, key.id, _encoded(key))) for key in keys]
        return sum(self._alone(self._nodes.ask(asked)))

    async def _put(self, key: ApiKey) -> None:
        await self._nodes.ask([(0, ("HSET", self._place, key.id, _encoded(key)))])

    def _alone(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work in an event loop of its own, for the command line."""

        async def worked() -> T:
            try:
                await self._nodes.refresh()
                return await work
            finally:
                work.close()
                await self._nodes.close()

        return asyncio.run(worked())


def _encoded(key: ApiKey) -> bytes:
    fields = {**asdict(key), "scopes": sorted(key.scopes), "hash": key.hash.hex()}
    del fields["id"]
    return orjson.dumps(fields)


def _decoded(key_id: bytes, fields: bytes) -> ApiKey:
    known = orjson.loads(fields)
    made = {**known, "scopes": frozenset(known["scopes"]), "hash": bytes.fromhex(known["hash"])}
    return ApiKey(key_id.decode(), **made)
