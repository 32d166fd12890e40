"""What a large block takes of memory at its peak, a row: `python -m tests.benchmarks.peaks`."""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection
from pathlib import Path

import numpy as np

from tests.benchmarks.report import Row, show
from tests.benchmarks.servers import Address, ours

ROWS = 1_000_000
FEATURES = ("temp", "door")
SETTLED = 3.0
TURNS = 5


def table() -> bytes:
    """Write a table as JSON."""
    return json.dumps({"features": FEATURES, "values": _rows()}, separators=(",", ":")).encode()


def lines(streams: int = 0) -> bytes:
    """Write a reading a line, of so many streams in turn, or of one that is not named."""
    return "\n".join(_readings(streams)).encode()


def readings(streams: int) -> bytes:
    """Write readings of so many streams in turn as JSON."""
    return f'{{"readings":[{",".join(_readings(streams))}]}}'.encode()


def peak(path: str, media: str, body: bytes) -> float:
    """Return the bytes a row by which the memory of a new service grows, at most, while it answers a block."""
    with ours(core=None) as us:
        time.sleep(SETTLED)
        return _peak(us, path, media, body)


def _peak(address: Address, path: str, media: str, body: bytes) -> float:
    before = _memory(address, "VmRSS")
    Path(f"/proc/{address.process}/clear_refs").write_text("5")  # the peak is counted anew
    connection = HTTPConnection("127.0.0.1", address.port, timeout=600)
    connection.request("POST", path, body, {"content-type": media})
    answer = connection.getresponse()
    into = memoryview(bytearray(1 << 20))
    while answer.readinto(into):
        pass
    connection.close()
    if answer.status != 200:
        raise RuntimeError(answer.status)
    return (_memory(address, "VmHWM") - before) / ROWS


def measure() -> list[Row]:
    """Measure each form of a block, by a service of its own: what one leaves behind, the next would use."""
    of_one, of_many = "/v1/streams/s/bulk", "/v1/bulk"
    ways = (
        ("a table as JSON", of_one, "application/json", table()),
        ("NDJSON", of_one, "application/x-ndjson", lines()),
        ("NDJSON of 100 streams", of_many, "application/x-ndjson", lines(100)),
        ("JSON of 100 streams", of_many, "application/json", readings(100)),
    )
    rows = []
    for what, path, media, body in ways:
        found = [peak(path, media, body) for _ in range(TURNS)]
        note = f"a block of {ROWS} rows of {len(FEATURES)} features, sent as {len(body) / ROWS:.0f} bytes a row"
        rows.append(Row(f"memory at its peak, {what}", "", [], found, "B a row", "≤ 400", note))
    return rows


def _rows() -> list[list[float]]:
    rows: list[list[float]] = np.random.default_rng(0).normal(20.0, 3.0, (ROWS, len(FEATURES))).round(2).tolist()
    return rows


def _readings(streams: int) -> list[str]:
    made = []
    for n, row in enumerate(_rows()):
        stream = {"stream": f"s-{n % streams}"} if streams else {}
        made.append(json.dumps({**stream, "values": dict(zip(FEATURES, row, strict=True))}, separators=(",", ":")))
    return made


def _memory(address: Address, name: str) -> int:
    """Return a figure of a process's memory in bytes."""
    status = Path(f"/proc/{address.process}/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) * 1024


def main() -> None:
    """Print the table."""
    show(measure())


if __name__ == "__main__":
    main()
