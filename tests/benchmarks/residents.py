"""A million streams in a service that may keep all of them in memory and use 1 GiB: memory, and readings a second.

Memory is what is resident (RSS), pages of libraries included, and the most that ever was (peak). The
limit is one of data, of which a thread's stack counts as a whole: so stacks are made as small as they are used.

python -m tests.benchmarks.residents [STREAMS …]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import httpx
import numpy as np
import orjson
import psutil

import streamnorm
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams.snapshot import export
from streamnorm.engine.streams.stream import Stream
from tests.support.processes import FreshService

FEATURES = [f"f{n}" for n in range(8)]
SIZES = (1_000, 100_000, 1_000_000)
RESIDENT = 1_000_000
MEMORY = 2**30
STACK = 2**21
BATCH = 1000
NDJSON = {"content-type": "application/x-ndjson"}
SAMPLE = 300
TIMESTAMP = 1_700_000_000.0


def values(stream: int, seq: int) -> dict[str, float]:
    """Return a stream's reading."""
    drawn = np.random.default_rng((stream, seq)).normal(20, 3, len(FEATURES))
    return dict(zip(FEATURES, drawn.tolist(), strict=True))


def bodies(first: int, last: int, seq: int) -> Iterator[bytes]:
    """Write blocks of readings, each of a thousand streams."""
    for start in range(first, last, BATCH):
        block = range(start, min(start + BATCH, last))
        lines = ({"stream": f"stream-{n:07}", "values": values(n, seq), "seq": seq} for n in block)
        yield b"\n".join(map(orjson.dumps, lines))


def sent(url: str, blocks: Iterable[bytes]) -> float:
    """Send blocks over two connections; returns readings a second, the time to make the blocks left out."""
    seconds = 0.0
    rows = 0
    blocks = iter(blocks)
    with httpx.Client(base_url=url, timeout=300) as client, ThreadPoolExecutor(2) as pool:
        while some := list(islice(blocks, 20)):
            began = time.perf_counter()
            for response in pool.map(lambda body: client.post("/v1/bulk", content=body, headers=NDJSON), some):
                response.raise_for_status()
            seconds += time.perf_counter() - began
            rows += sum(body.count(b"\n") + 1 for body in some)
    return rows / seconds


def rested(url: str, count: int, seq: int) -> float:
    """Send readings of streams anywhere, one at a time; returns readings a second."""
    rng = np.random.default_rng(seq)
    bodies = [
        (int(n), orjson.dumps({"values": values(int(n), seq), "seq": seq})) for n in rng.permutation(count)[:2000]
    ]
    with httpx.Client(base_url=url, timeout=300, headers={"content-type": "application/json"}) as client:
        began = time.perf_counter()
        for n, body in bodies:
            client.post(f"/v1/streams/stream-{n:07}/readings", content=body).raise_for_status()
        return len(bodies) / (time.perf_counter() - began)


def assert_unharmed(url: str, count: int) -> None:
    """Compare streams anywhere with twins that never rested, to the bit."""
    default, limits = plan(configuration({}, {})), Limits()
    with httpx.Client(base_url=url, timeout=300) as client:
        for n in np.random.default_rng(1).integers(count, size=SAMPLE).tolist():
            snapshot = client.get(f"/v1/streams/stream-{n:07}/snapshot").json()
            twin = Stream(default)
            for seq in (1, 2):
                if seq <= snapshot["last_seq"]:
                    twin.observe(parse_reading(values(n, seq), limits, seq=seq), TIMESTAMP, limits)
            expected = export(twin)
            for moment in ("created", "updated"):
                del snapshot[moment], expected[moment]
            assert snapshot == expected


def peak(process: psutil.Process) -> int:
    """Return the most bytes that were ever resident."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def main(sizes: Iterable[int] = SIZES) -> None:
    """Measure and print."""
    version = f"streamnorm {streamnorm.__version__}, Python {sys.version.split()[0]}"
    print(f"{version}; 8 features, at most {RESIDENT} streams resident,")
    print(f"{MEMORY >> 20} MiB of memory (RLIMIT_DATA); blocks of {BATCH} streams (NDJSON), two at a time")
    print("streams    new streams/s  RSS MiB  peak  resident  bytes/new one   one by one from anywhere/s  database MiB")
    resource.setrlimit(resource.RLIMIT_STACK, (STACK, resource.getrlimit(resource.RLIMIT_STACK)[1]))
    with (
        tempfile.TemporaryDirectory() as name,
        FreshService(Path(name), STREAMNORM_MAX_RESIDENT_STREAMS=str(RESIDENT)) as service,
    ):
        process = psutil.Process(service.pid)
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (MEMORY, MEMORY))
        sent(service.url, bodies(0, BATCH, 1))  # warm up
        before, base, done = float(BATCH), process.memory_info().rss, BATCH
        for size in sizes:
            speed = sent(service.url, bodies(done, size, 1)) if size > done else float("nan")
            done = size
            figures = httpx.get(f"{service.url}/metrics", timeout=300).text
            resident = float(figures.split("\nstreamnorm_streams_resident ")[1].split("\n")[0])
            rss = process.memory_info().rss
            each = (rss - base) / max(1.0, resident - before)
            before, base = resident, rss
            single = rested(service.url, size, 2)
            disk = sum(file.stat().st_size for file in (Path(name) / "data").iterdir())
            row = f"{size:<10} {speed:<14.0f} {rss / 2**20:<8.0f} {peak(process) / 2**20:<5.0f} {resident:<9.0f} "
            row += f"{each:<15.0f} {single:<27.0f} "
            print(f"{row}{disk / 2**20:.0f}", flush=True)
        assert_unharmed(service.url, done)
        print(f"{SAMPLE} streams from anywhere are what they would be had they never rested, to the bit")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or SIZES)
