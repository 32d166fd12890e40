"""What durability costs: readings a second with one caller and with many, beside a commit for each reading.

python -m tests.benchmarks.durability
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path

from streamnorm.stores.local.sqlite import SQLiteStore
from tests.benchmarks.report import Row, in_turns, show
from tests.benchmarks.servers import LOAD, Address, ours
from tests.benchmarks.single import script

SECONDS = 1
ROUNDS = 5
CONNECTIONS = (1, 16, 128)
BLOB = bytes(400)
PEER = "SQLite, a synced commit for each, without HTTP"


def answered(address: Address, connections: int) -> float:
    """Return the readings answered in a second of the wall's clock."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(
            script(address, None)
        )  # many connections: a request overtakes another of the same stream now and then
        file.flush()
        command = ["taskset", "--cpu-list", str(LOAD), "wrk", "--threads", "1", "--connections", str(connections)]
        command += ["--duration", f"{SECONDS}s", "--script", file.name, address.url]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    found = re.search(r"Requests/sec: +([\d.]+)", said)
    assert found
    return float(found[1])


def one_by_one() -> float:
    """Return the commits a second that this disk takes where every reading has one of its own."""
    with tempfile.TemporaryDirectory() as folder, closing(SQLiteStore(Path(folder), synchronous="full")) as store:
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            store.save({f"s-{count % 1024}": BLOB})
            count += 1
        return count / (time.perf_counter() - began)


def measure() -> list[Row]:
    """Measure every durability."""
    rows = []
    for durability in ("always", "everysec", "no"):
        with ours(durability=durability) as us:
            answered(us, 16)
            for connections in CONNECTIONS:
                alone, mine = in_turns(ROUNDS, one_by_one, partial(answered, us, connections))
                note = f"{durability}, {connections} connections, 1024 streams, server and wrk on a core each"
                rows.append(Row("one reading a POST", PEER, alone, mine, "/s", "", note))
    return rows


def main() -> None:
    """Print the table."""
    show(measure())


if __name__ == "__main__":
    main()
