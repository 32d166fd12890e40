"""What a reading costs in Spark, in a table and in a stream, beside the same functions without any arithmetic.

Prints the CPU time a reading of the Java process and of Python's workers; compare the ratios. Numba must be installed
there: `PYTHONPATH=. NUMBA_CACHE_DIR=build/numba .venv-engines/spark/bin/python tests/clusters/spark_bench_job.py`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own examples name it
from pyspark.sql.streaming.stateful_processor import StatefulProcessor, StatefulProcessorHandle

from streamnorm.engines.spark import STATE, normalize
from tests.clusters.cpu import spent

FEATURES = tuple("abcdefgh")
STREAMS, ROWS, FILES, TURNS = 200, 200_000, 2, 2
ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"


class Keep(StatefulProcessor):  # type: ignore[misc]  # of pyspark's types
    """Reads what is kept of a key, keeps as much as normalizing does, and returns the rows."""

    def init(self, handle: StatefulProcessorHandle) -> None:
        """Ask for the state."""
        self._state = handle.getValueState("kept", STATE)

    def handleInputRows(self, key: Any, rows: Iterator[pd.DataFrame], timerValues: Any) -> Iterator[pd.DataFrame]:  # noqa: ARG002, N802, N803
        """Return the rows."""
        self._state.get()
        self._state.update((bytes(1570),))
        yield from rows

    def close(self) -> None:
        """Leave nothing open."""


def theirs(frame: DataFrame) -> DataFrame:
    """Let the rows pass."""
    grouped = frame.groupBy("sensor")
    if frame.isStreaming:
        return grouped.transformWithStateInPandas(
            statefulProcessor=Keep(), outputStructType=frame.schema, outputMode="Append", timeMode="None"
        )
    return grouped.applyInPandas(lambda rows: rows, frame.schema)


def ours(frame: DataFrame) -> DataFrame:
    """Normalize the rows."""
    return normalize(frame, key_by="sensor", values=FEATURES, seq="seq")


def of_table(spark: SparkSession, folder: Path, work: Callable[[DataFrame], DataFrame]) -> None:
    """Run it as a table."""
    work(spark.read.parquet(str(folder / "rows"))).write.format("noop").mode("overwrite").save()


def of_stream(spark: SparkSession, folder: Path, work: Callable[[DataFrame], DataFrame]) -> None:
    """Run it as a stream, a file in each micro-batch."""
    schema = spark.read.parquet(str(folder / "rows")).schema
    frame = spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(str(folder / "rows"))
    writer = work(frame).writeStream.format("noop").option("checkpointLocation", tempfile.mkdtemp(dir=folder))
    writer.trigger(availableNow=True).start().awaitTermination()


def main() -> None:
    """Measure in turns."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[1]").config("spark.sql.shuffle.partitions", "1")
    builder = builder.config("spark.ui.enabled", "false").config("spark.python.authenticate.socketTimeout", "600s")
    spark = builder.config("spark.sql.streaming.stateStore.providerClass", ROCKSDB).getOrCreate()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        columns = [F.randn(seed).alias(name) for seed, name in enumerate(FEATURES)]
        sensor = (F.col("id") % STREAMS).cast("string").alias("sensor")
        rows = spark.range(0, ROWS, 1, FILES).select(sensor, F.col("id").alias("seq"), *columns)
        rows.write.parquet(str(folder / "rows"))
        for run in (of_table, of_stream):
            for turn in range(-1, TURNS):
                costs = []
                for work in (theirs, ours):
                    before = spent()
                    run(spark, folder, work)
                    costs.append(1e6 * (spent() - before) / ROWS)
                peer, own = costs
                if turn >= 0:  # the first turn compiles
                    print(f"{run.__name__} {turn}: peer {peer:.2f} µs, ours {own:.2f} µs, ratio {peer / own:.2f}")


if __name__ == "__main__":
    main()
