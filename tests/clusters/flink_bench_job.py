"""What blocks of readings cost in Flink, beside a map function of Flink's own that keeps as much a key, without more.

Prints the CPU time a block of the Java process and of Python's worker, without what it takes to start them; compare the
ratios. Numba must be installed there:
`PYTHONPATH=. NUMBA_CACHE_DIR=build/numba .venv-engines/flink/bin/python tests/clusters/flink_bench_job.py`.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from pyflink.common import Configuration, Row, Types
from pyflink.datastream import DataStream, MapFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.state import ValueStateDescriptor

from streamnorm.engines.arrow import observe_batch, write_batch
from streamnorm.engines.flink import BLOB, normalize_blocks
from streamnorm.engines.rows import Fields
from tests.clusters.cpu import spent

FEATURES = tuple("abcdefgh")
STREAMS, ROWS = 100, 100
FEW, MANY, TURNS = 200, 3000, 3
KIND = Types.ROW_NAMED(["sensor", "block"], [Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE())])


def batch(seed: int) -> pa.RecordBatch:
    """Return a block of readings."""
    values = np.random.default_rng(seed).normal(20.0, 2.0, (ROWS, len(FEATURES)))
    return pa.RecordBatch.from_pydict(dict(zip(FEATURES, values.T, strict=True)))


class Keep(MapFunction):  # type: ignore[misc]  # pyflink has no types
    """Reads what is kept of a key, keeps as much, and returns the row."""

    def __init__(self, size: int) -> None:
        self._kept = bytes(size)

    def open(self, runtime_context: RuntimeContext) -> None:
        """Ask for the state."""
        self._state = runtime_context.get_state(ValueStateDescriptor("kept", BLOB))

    def map(self, value: Row) -> Row:
        """Return the row."""
        self._state.value()
        self._state.update(self._kept)
        return value


def theirs(stream: DataStream) -> DataStream:
    """Let Flink's own map function have the blocks."""
    size = len(observe_batch(None, batch(0), Fields(FEATURES), {}, 0.0)[0] or b"")
    return stream.key_by(lambda row: row[0], key_type=Types.STRING()).map(Keep(size), KIND)


def ours(stream: DataStream) -> DataStream:
    """Normalize the blocks."""
    return normalize_blocks(stream, key_by="sensor", block="block", values=FEATURES)


def cost(environment: StreamExecutionEnvironment, work: Callable[[DataStream], DataStream], blocks: int) -> float:
    """Return the CPU time of a job of so many blocks."""
    data = [write_batch(batch(seed)) for seed in range(8)]
    rows = [Row(f"s{number % STREAMS}", data[number % len(data)]) for number in range(blocks)]
    work(environment.from_collection(rows, KIND)).filter(lambda _: False).print()
    before = spent()
    environment.execute()
    return spent() - before


def main() -> None:
    """Measure in turns."""
    options = Configuration()
    options.set_string("python.executable", sys.executable)
    environment = StreamExecutionEnvironment.get_execution_environment(options)
    environment.set_parallelism(1)
    for work in (theirs, ours):
        cost(environment, work, FEW)
    ratios = []
    for turn in range(TURNS):
        peer, own = (
            1e3 * (cost(environment, work, MANY) - cost(environment, work, FEW)) / (MANY - FEW)
            for work in (theirs, ours)
        )
        ratios.append(peer / own)
        print(f"{turn}: a block of {ROWS} rows: peer {peer:.2f} ms, ours {own:.2f} ms, ratio {peer / own:.2f}")
    print(f"ratio: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
