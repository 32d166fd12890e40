"""Parses the URL of a shared store: `redis://`, `rediss://` (TLS), `redis+cluster://`, `rediss+cluster://`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from streamnorm.compat.redis import Connection, connection_options
from streamnorm.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PORT = 6379
#: Seconds to connect; within a data centre it takes about a millisecond.
CONNECT_TIMEOUT = 1.0
#: Seconds to wait for a reply: long enough for a busy node, short enough to detect a frozen one. It must exceed
#: `connection.WAIT_MILLISECONDS`, the wait for replicas.
ANSWER_TIMEOUT = 2.0


class NodeAddress(NamedTuple):
    """A node's address."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class RedisURL:
    """The address of a store; its string form omits the password."""

    scheme: str
    places: tuple[NodeAddress, ...]
    options: Mapping[str, Any] = field(repr=False)

    @property
    def cluster(self) -> bool:
        """Whether the store is a cluster; then `places` are some of its nodes."""
        return self.scheme.endswith("+cluster")

    def connection(self, place: NodeAddress) -> Connection:
        """Build a connection to a node, without connecting it."""
        return Connection(
            place.host,
            place.port,
            self.options,
            tls=self.scheme.startswith("rediss"),
            connect_timeout=CONNECT_TIMEOUT,
            answer_timeout=ANSWER_TIMEOUT,
        )

    def __str__(self) -> str:
        return f"{self.scheme}://{','.join(map(str, self.places))}"


def parse_redis_url(url: str) -> RedisURL:
    """Parse a store's URL: `scheme://[user:password@]host[:port][,host[:port]…][/database][?option=value…]`.

    The options are those of redis-py's connections, such as `ssl_ca_certs=/etc/ssl/store.pem`.

    >>> str(parse_redis_url("redis+cluster://app:secret@10.0.0.1,10.0.0.2:7000"))
    'redis+cluster://10.0.0.1:6379,10.0.0.2:7000'

    Raises:
        StoreError: the URL is invalid.

    """
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    scheme = parts.scheme.partition("+")[0]
    try:
        places = tuple(_place(host) for host in hosts.split(","))
        options = connection_options(f"{scheme}://{user}{at}{places[0]}{parts.path}?{parts.query}")
        address = RedisURL(parts.scheme, places, options)
        address.connection(places[0])
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"cannot understand the store's address {parts.scheme}://{hosts}{parts.path}: {error}"
        ) from None
    if len(places) > 1 and not address.cluster:
        raise StoreError(f"{address} names several nodes: a cluster's address begins with {scheme}+cluster://")
    return address


def _place(host: str) -> NodeAddress:
    parts = urlsplit(f"//{host}")
    if not parts.hostname:
        raise ValueError("there is no host in it")
    return NodeAddress(parts.hostname, parts.port or DEFAULT_PORT)
