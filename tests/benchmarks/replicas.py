"""What replicas on a shared store take: `python -m tests.benchmarks.replicas [seconds [part of a case's name]]`.

One, two and four replicas, readings of 8 features over 10 000 streams, 64 requests in flight from one client process,
all on this machine. Shown are readings/s, the 50th and 99th percentile of a request's time, and what a reading costs:
CPU time of the service and of the store's master, bytes to and from the master. CPU time tells more than readings/s
where client, replicas and store share few cores. `peer` is the single machine's store, SQLite, on the same load.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import uvloop

from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams.stream import Stream
from streamnorm.stores.redis.streams import SharedStreams
from streamnorm.stores.redis.url import parse_redis_url
from tests.support.processes import FreshService
from tests.support.redis_servers import Server, cluster

IN_FLIGHT = 64
STREAMS = 10_000
FEATURES = 8
#: readings a request
POST, BULK, BLOCK = 1, 100, 100
WARMUP = 1.0


@dataclass
class Case:
    """What is measured: a store, how many replicas, and the way the readings go in."""

    store: str
    replicas: int
    way: str
    durability: str = "everysec"

    def __str__(self) -> str:
        return f"{self.store:<8} {self.durability:<9} {self.replicas} × {self.way}"


CASES = [
    Case("sqlite", 1, "POST"),
    *(Case("redis", number, "POST") for number in (1, 2, 4)),
    *(Case("cluster", number, "POST", "always") for number in (1, 2, 4)),
    Case("sqlite", 1, "bulk"),
    *(Case("redis", number, "bulk") for number in (1, 2, 4)),
    Case("cluster", 2, "bulk", "always"),
    Case("redis", 1, "block"),
]


def requests(way: str, connection: int, rng: np.random.Generator) -> list[bytes]:
    """Build the requests of one connection, which go round and round."""
    names = [f"f{n}" for n in range(FEATURES)]
    made = []
    for _ in range(64):
        # a stream keeps to its connection, and so to its replica, as behind a load balancer that hashes by stream
        ids = [f"stream-{int(n) * IN_FLIGHT + connection}" for n in rng.integers(STREAMS // IN_FLIGHT, size=BULK)]
        rows = rng.normal(20, 1, size=(BULK, FEATURES)).round(3).tolist()
        if way == "POST":
            path, body = (
                f"/v1/streams/{ids[0]}/readings",
                json.dumps({"values": dict(zip(names, rows[0], strict=True))}),
            )
        elif way == "bulk":
            some = [
                {"stream": i, "values": dict(zip(names, row, strict=True))} for i, row in zip(ids, rows, strict=True)
            ]
            path, body = "/v1/bulk", json.dumps({"readings": some})
        else:
            path, body = f"/v1/streams/{ids[0]}/bulk", json.dumps({"features": names, "values": rows})
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        made.append(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
    return made


class Client(asyncio.Protocol):
    """One connection that sends a request as soon as it has the answer to the last."""

    def __init__(self, sent: list[bytes], times: list[float]) -> None:
        self._requests = sent
        self._times = times
        self._number = 0
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Update with a part of an answer."""
        self._buffer += data
        head, gap, body = self._buffer.partition(b"\r\n\r\n")
        if gap and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]):
            if not head.startswith(b"HTTP/1.1 200"):
                print(self._buffer.decode())
                os._exit(1)  # the other end of the pipe is told by its end
            self._times.append(time.perf_counter() - self._began)
            self._buffer = b""
            self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._requests[self._number % len(self._requests)])
        self._number += 1


def client(ports: list[int], way: str, seconds: float, result: Connection) -> None:
    """Send for so long, in a process of its own; returns the requests' times, after the warmup."""
    rng = np.random.default_rng(0)
    times: list[float] = []
    work = [requests(way, connection, rng) for connection in range(IN_FLIGHT)]

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for number, sent in enumerate(work):
            port = ports[number % len(ports)]
            await loop.create_connection(partial(Client, sent, times), "127.0.0.1", port)
        await asyncio.sleep(WARMUP)
        times.clear()
        result.send("warm")
        await asyncio.sleep(seconds)
        result.send(list(times))

    uvloop.run(run())
    os._exit(0)


def cost(servers: list[Server]) -> tuple[float, int]:
    """Return the CPU seconds and network bytes of the store's masters so far."""
    seconds, moved = 0.0, 0
    for server in servers:
        with server.client() as redis:
            cpu, stats = redis.info("cpu"), redis.info("stats")
        seconds += cpu["used_cpu_user"] + cpu["used_cpu_sys"]
        moved += stats["total_net_input_bytes"] + stats["total_net_output_bytes"]
        moved -= stats.get("total_net_repl_output_bytes", 0)
    return seconds, moved


def measured(case: Case, seconds: float, folder: Path) -> list[str]:
    """Measure one case; returns a row of the table."""
    with ExitStack() as running:
        masters: list[Server] = []
        store = case.store
        if case.store == "redis":
            masters = [running.enter_context(Server(folder / "store", "--appendonly", "yes"))]
            store = masters[0].url
        elif case.store == "cluster":
            made = running.enter_context(cluster(folder / "store", "--appendonly", "yes"))
            masters, store = made.masters, made.url
        services = []
        for number in range(case.replicas):
            own = folder / f"replica-{number}"
            own.mkdir(parents=True)
            environment = {"STREAMNORM_STORE": store, "STREAMNORM_DURABILITY": case.durability}
            services.append(running.enter_context(FreshService(own, **environment)))
        processes = [psutil.Process(service.pid) for service in services]
        here, there = multiprocessing.Pipe()
        ports = [service.port for service in services]
        sender = multiprocessing.get_context("spawn").Process(target=client, args=(ports, case.way, seconds, there))
        sender.start()
        there.close()
        here.recv()
        before, cpu = cost(masters), sum(sum(process.cpu_times()[:2]) for process in processes)
        times = sorted(here.recv())
        after, cpu_after = cost(masters), sum(sum(process.cpu_times()[:2]) for process in processes)
        sender.join()
    if not times:
        return ["none"]
    readings = len(times) * (1 if case.way == "POST" else BULK)
    row = [
        f"{readings / seconds:,.0f}",
        f"{times[len(times) // 2] * 1e3:.1f}",
        f"{times[-len(times) // 100] * 1e3:.1f}",
    ]
    row.append(f"{(cpu_after - cpu) / readings * 1e6:.1f}")
    row += [f"{(after[0] - before[0]) / readings * 1e6:.1f}", f"{(after[1] - before[1]) / readings:,.0f}"]
    return row if masters else [*row[:4], "", ""]


async def alone(url: str, replicas: int, seconds: float) -> list[str]:
    """Measure the streams of a shared store without HTTP, 64 readings in flight; returns a row of the table."""
    limits = Limits()
    rng = np.random.default_rng(0)
    names = [f"f{n}" for n in range(FEATURES)]
    pool = [
        parse_reading(dict(zip(names, row, strict=True)), limits) for row in rng.normal(20, 1, (100, FEATURES)).tolist()
    ]
    streams = SharedStreams(parse_redis_url(url), plan(configuration({}, {})), prefix="streamnorm", replicas=replicas)
    await streams.start()
    times: list[float] = []
    end = time.perf_counter() + seconds

    changes = [partial(Stream.observe, reading=one, now=1.0, limits=limits) for one in pool]

    async def send(number: int) -> None:
        while (began := time.perf_counter()) < end:
            await streams.update(f"stream-{(len(times) * IN_FLIGHT + number) % STREAMS}", changes[len(times) % 100])
            times.append(time.perf_counter() - began)

    cpu = time.process_time()
    await asyncio.gather(*map(send, range(IN_FLIGHT)))
    cpu = time.process_time() - cpu
    await streams.stop()
    times.sort()
    row = [
        f"{len(times) / seconds:,.0f}",
        f"{times[len(times) // 2] * 1e3:.1f}",
        f"{times[-len(times) // 100] * 1e3:.1f}",
    ]
    return [*row, f"{cpu / len(times) * 1e6:.1f}", "", ""]


def memory(folder: Path) -> float:
    """Measure the bytes of a store's memory that a stream of 8 features takes."""
    with Server(folder / "store") as server, FreshService(folder, STREAMNORM_STORE=server.url) as service:
        _, there = multiprocessing.Pipe()
        args = ([service.port], "bulk", 2.0, there)
        with server.client() as redis:
            before = redis.info("memory")["used_memory"]
            sender = multiprocessing.get_context("spawn").Process(target=client, args=args)
            sender.start()
            sender.join()
            streams = sum(int(redis.zcard(key)) for key in redis.scan_iter("streamnorm:{p???}"))
            taken: float = redis.info("memory")["used_memory"] - before
    return taken / streams


def show(name: str, row: list[str]) -> None:
    """Print a row."""
    print(f"{name:<36}" + "".join(f"{value:>13}" for value in row), flush=True)


def main(arguments: Sequence[str] = ()) -> None:
    """Measure, and print a table."""
    seconds = float(arguments[0]) if arguments else 3.0
    print(f"{FEATURES} features, {STREAMS} streams, {IN_FLIGHT} requests in flight, {seconds:g} s a case")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    conditions = f"Python {platform.python_version()}, redis-py {version('redis')}, {os.cpu_count()} cores"
    print(f"{conditions}, load of the machine before: {load}")
    header = ["readings/s", "p50 ms", "p99 ms", "service µs", "store µs", "store bytes"]
    show("store, durability, replicas × way", header)
    wanted = arguments[1] if len(arguments) > 1 else ""
    for case in CASES:
        if wanted not in str(case):
            continue
        with tempfile.TemporaryDirectory() as folder:
            row = measured(case, seconds, Path(folder))
        show(str(case), row)
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder), "--appendonly", "yes") as made:
        show("cluster  everysec  without HTTP", uvloop.run(alone(made.url, 0, seconds)))
        show("cluster  always    without HTTP", uvloop.run(alone(made.url, 1, seconds)))
    with tempfile.TemporaryDirectory() as folder:
        print(f"a stream takes {memory(Path(folder)):,.0f} bytes of a store's memory")


if __name__ == "__main__":
    main(sys.argv[1:])
