"""Replicas and their store while parts of them die, as processes on this machine.

`STREAMNORM_LONG` seconds (default a short while) is how long the load lasts around each fault: `make faults`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from streamnorm.compat.redis import Command
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StoreUnavailable
from streamnorm.stores.codec import encode
from streamnorm.stores.redis import url as address
from streamnorm.stores.redis.cas_batch import CasBatcher, Entry, StreamBatch
from streamnorm.stores.redis.keyspace import Keyspace, partition, slot
from tests.support.redis_servers import MASTERS, SLOTS, Cluster, Server, cluster, replicas, wait_until
from tests.support.replica_load import sending
from tests.support.replicas import Start

#: Seconds of load before and after a fault.
LONG = float(os.environ.get("STREAMNORM_LONG", "0.3"))
#: Within so many seconds after a master's death readings of all streams must be taken again.
BACK = 15.0
#: A store that is gone is told within so many seconds, this busy machine's share included.
PROMPTLY = 20.0
LIMITS = Limits()


async def test_plain_get_and_set_would_lose_updates(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what the other test finds unharmed is harmed where nothing is compared."""

    def plain(batcher: CasBatcher, group: StreamBatch, entry: Entry) -> Command:
        assert entry.stream is not None
        blob = batcher._shared.keys.blob(group.stream_id)  # noqa: SLF001
        script = "redis.call('SET', KEYS[1], ARGV[1]) return 1"
        return ("EVAL", script, 1, blob, entry.version + encode(entry.stream))

    monkeypatch.setattr(CasBatcher, "_on_written", plain)
    assert await hammered(start) < 2000


async def test_two_replicas_hammering_hot_streams_lose_no_update(start: Start) -> None:
    assert await hammered(start) == 2000


async def hammered(start: Start) -> int:
    """Let two replicas observe 2000 readings of 50 streams; returns how many are counted in the end."""
    pair = [await start(max_remembered=0), await start(max_remembered=0)]  # each round reads, in the control too
    rng = random.Random(0)

    def change(stream: Stream) -> None:
        stream.observe(parse_reading({"x": rng.random()}, LIMITS), 1.0, LIMITS)

    for _ in range(20):
        await asyncio.gather(*(replica.update(f"hot-{n}", change) for replica in pair for n in range(50)))
    return sum([await pair[0].read(f"hot-{n}", lambda stream: stream.count) for n in range(50)])


async def test_a_replica_killed_under_load_loses_no_acknowledged_reading(single: Server, tmp_path: Path) -> None:
    with replicas(tmp_path, single.url, 2, STREAMNORM_STORE_PREFIX="killed") as (first, second):
        async with sending([first.url, second.url]) as load:
            await load.more(300)
            await asyncio.sleep(LONG)
            first.kill()
            await load.all_again(BACK)
            await asyncio.sleep(LONG)
        counts = await counted(second.url)
        assert counts == {device.stream_id: device.acknowledged for device in load.devices}


async def test_a_master_killed_under_load_loses_no_acknowledged_reading(tmp_path: Path) -> None:
    with (
        cluster(tmp_path / "cluster", "--appendonly", "yes") as shards,
        replicas(tmp_path, shards.url, 2, STREAMNORM_DURABILITY="always") as (first, second),
    ):
        async with sending([first.url, second.url]) as load:
            await load.more(300)
            await asyncio.sleep(LONG)
            shards.masters[0].kill()
            await load.all_again(BACK)
            await asyncio.sleep(LONG)
            shards.masters[0].start()  # comes back as a replica
            await load.more(300)
        counts = await counted(second.url)
        assert counts == {device.stream_id: device.acknowledged for device in load.devices}


def test_without_its_store_a_replica_refuses_readings_and_takes_them_again_by_itself(tmp_path: Path) -> None:
    store = Server(tmp_path / "store", "--appendonly", "yes", "--appendfsync", "always")
    with replicas(tmp_path, store.url, 1) as (service,), httpx.Client(base_url=service.url, timeout=PROMPTLY) as client:
        assert client.get("/readyz").status_code == httpx.codes.SERVICE_UNAVAILABLE
        with store:
            wait_until(lambda: client.get("/readyz").is_success)
            assert observe(client).json()["count"] == 1
            store.kill()
            refused = observe(client)
            assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert refused.headers["retry-after"] == "1"
            assert refused.json()["type"] == "/problems/store-unavailable"
            wait_until(lambda: client.get("/readyz").status_code == httpx.codes.SERVICE_UNAVAILABLE)
            assert client.get("/healthz").is_success
            store.start()
            wait_until(lambda: client.get("/readyz").is_success)
            assert observe(client, 2).json()["count"] == 2


async def test_nobody_waits_for_more_than_one_silence_of_a_frozen_store(
    start: Start, single: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url != single.url:
        return  # nobody takes over where there is one node
    monkeypatch.setattr(address, "ANSWER_TIMEOUT", 1.0)
    replica = await start()
    await replica.update("known", lambda stream: stream.count)
    await replica.health.stop()  # which would be silent to itself
    link = replica.topology.masters()[0]
    single.signal(signal.SIGSTOP)
    try:
        first = asyncio.create_task(replica.update("known", lambda stream: stream.count))
        await asyncio.sleep(0.1)
        others = [replica.update(f"new-{n % 5}", lambda stream: stream.count) for n in range(20)]
        outcomes = await asyncio.gather(first, *others, replica.read("known", Stream.draft), return_exceptions=True)
    finally:
        single.signal(signal.SIGCONT)
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert link._silences == 1  # noqa: SLF001 - as many as were waited for
    assert await replica.update("new-0", lambda stream: stream.count) == 0


async def test_a_frozen_store_is_told_and_comes_back(
    start: Start, single: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url != single.url:
        return  # nobody takes over where there is one node
    monkeypatch.setattr(address, "ANSWER_TIMEOUT", 0.5)
    replica = await start()

    def change(stream: Stream) -> int:
        stream.observe(parse_reading({"x": 1.0}, LIMITS), 1.0, LIMITS)
        return stream.count

    assert await replica.update("a", change) == 1
    single.signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable):
            await replica.update("b", change)
        await became(False, replica.check)  # noqa: FBT003
    finally:
        single.signal(signal.SIGCONT)
    await became(True, replica.check)  # noqa: FBT003
    assert await replica.update("a", change) == 2


async def became(fine: bool, check: Callable[[], None]) -> None:  # noqa: FBT001 - reads as it is said
    """Wait until a check raises no more, or does."""
    async with asyncio.timeout(BACK):
        while passes(check) != fine:  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(0.1)


def passes(check: Callable[[], None]) -> bool:
    """Return whether a check raises nothing."""
    try:
        check()
    except StoreUnavailable:
        return False
    return True


async def test_streams_are_served_while_their_slot_moves_to_another_node(
    shards: Cluster, start: Start, url: str
) -> None:
    if not url.startswith("redis+cluster"):
        return  # one node has all slots
    replica = await start()
    ids = [f"s-{n}" for n in range(20_000)]
    number = partition(ids[0])
    mine = [stream_id for stream_id in ids if partition(stream_id) == number][:4]

    def change(stream: Stream) -> int:
        stream.observe(parse_reading({"x": 1.0}, LIMITS), 1.0, LIMITS)
        return stream.count

    for stream_id in mine[:3]:
        await replica.update(stream_id, change)
    place = slot(number)
    source = shards.masters[place * MASTERS // SLOTS]
    target = next(server for server in shards.masters if server is not source)
    names = {server: server.do("CLUSTER", "MYID").decode() for server in (source, target)}
    target.do("CLUSTER", "SETSLOT", place, "IMPORTING", names[source])
    source.do("CLUSTER", "SETSLOT", place, "MIGRATING", names[target])
    keys = Keyspace(replica.keys.prefix)
    migrate = ("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS")
    source.do(*migrate, keys.blob(mine[0]))
    assert [await replica.update(stream_id, change) for stream_id in mine[:3]] == [2, 2, 2]
    source.do(*migrate, keys.blob(mine[1]), keys.blob(mine[2]), keys.index(number))
    assert [await replica.update(stream_id, change) for stream_id in mine[:3]] == [3, 3, 3]
    with pytest.raises(StoreUnavailable, match="refuses stream"):  # a new one waits until the slot has moved
        await replica.update(mine[3], change)
    while rest := source.do("CLUSTER", "GETKEYSINSLOT", place, 100):  # of other tests, in the same slot
        source.do(*migrate, *rest)
    for server in (target, source):
        server.do("CLUSTER", "SETSLOT", place, "NODE", names[target])
    assert [await replica.update(stream_id, change) for stream_id in mine] == [4, 4, 4, 1]
    assert [stream_id for stream_id, _ in await replica.page("", "", 10)] == sorted(mine)


def observe(client: httpx.Client, seq: int = 1) -> httpx.Response:
    """Send a numbered reading."""
    return client.post("/v1/streams/boiler-7/readings", json={"values": {"temp": 21.4}, "seq": seq})


async def counted(url: str) -> dict[str, int]:
    """Return every stream's count, as the service lists them."""
    async with httpx.AsyncClient(base_url=url, timeout=30.0) as client:
        found = (await client.get("/v1/streams", params={"limit": 1000})).json()["streams"]
    return {info["stream"]: info["count"] for info in found}
