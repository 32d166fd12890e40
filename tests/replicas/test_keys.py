"""Keys that replicas share: made by the command line, known to every replica, gone when revoked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from streamnorm.auth.redis_api_keys import RedisApiKeys
from streamnorm.errors import StoreUnavailable
from tests.support.commands import invoke
from tests.support.processes import PATIENCE, Service
from tests.support.redis_servers import Cluster, wait_until
from tests.support.replicas import Start


def keys(url: str, prefix: str, *arguments: str) -> str:
    """Run `streamnorm keys`; returns what it prints."""
    options = ["--store", url, "--store-prefix", prefix]
    result = invoke(["keys", *arguments, *options], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_a_key_made_by_hand_opens_a_replica_until_it_is_revoked(shards: Cluster, prefix: str, tmp_path: Path) -> None:
    url = shards.url
    environment = {"STREAMNORM_STORE": url, "STREAMNORM_STORE_PREFIX": prefix}
    first = keys(url, prefix, "create", "boss", "--scope", "admin")
    with Service(tmp_path, **environment) as service, httpx.Client(base_url=service.url) as client:
        call = client.build_request("GET", "/v1/streams")
        assert client.send(call).status_code == httpx.codes.UNAUTHORIZED
        call.headers["authorization"] = f"Bearer {first}"
        assert client.send(call).is_success
        second = keys(url, prefix, "create", "reader", "--scope", "read", "--prefix", "boiler-")
        call.headers["authorization"] = f"Bearer {second}"
        wait_until(lambda: client.send(call).is_success)
        keys(url, prefix, "revoke", second.split("_")[1])
        wait_until(lambda: client.send(call).status_code == httpx.codes.UNAUTHORIZED)
    assert "boiler-" in keys(url, prefix, "list")


def test_a_live_connection_ends_when_its_key_is_revoked(shards: Cluster, prefix: str, tmp_path: Path) -> None:
    environment = {"STREAMNORM_STORE": shards.url, "STREAMNORM_STORE_PREFIX": prefix}
    key = keys(shards.url, prefix, "create", "gateway", "--scope", "observe")
    headers = {"authorization": f"Bearer {key}"}
    with (
        Service(tmp_path, **environment) as service,
        connect(f"ws://127.0.0.1:{service.port}/v1/live", additional_headers=headers) as connection,
    ):
        keys(shards.url, prefix, "revoke", key.split("_")[1])
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "the key is not known here, or was revoked")


async def test_keys_that_were_never_read_open_nothing(start: Start) -> None:
    replica = await start()
    known = RedisApiKeys(replica.topology, replica.keys)
    with pytest.raises(StoreUnavailable):
        known.any()
    await known.refresh()
    assert not known.any()


async def test_only_a_hash_of_a_key_is_kept(start: Start, url: str, prefix: str) -> None:
    token = await asyncio.to_thread(keys, url, prefix, "create", "boss")
    replica = await start()
    (kept,) = await replica.topology.ask([(0, ("HGETALL", f"{prefix}:{{p000}}/keys"))])
    assert token.rpartition("_")[2].encode() not in b"".join(kept)
