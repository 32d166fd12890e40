"""Jobs for the tests: readings in a folder of JSON files, normalized, written as lines of JSON.

Arguments: `stream`, `finish` or `batch`; the folder of readings; the folder of the output; options of `normalize` as
JSON. `stream` runs until it is killed; `finish` goes on from its checkpoint, and ends when all files are read.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from streamnorm.engines.spark import normalize, save_streams

#: How a JVM starts fastest.
SHORT_LIVED = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
SCHEMA = "sensor string, seq long, time double, values map<string, double>"


def session() -> SparkSession:
    """Start Spark: a master and two workers, each with a process of its own."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    options = {
        "spark.driver.memory": "512m",
        "spark.executor.memory": "512m",
        "spark.driver.extraJavaOptions": SHORT_LIVED,
        "spark.executor.extraJavaOptions": SHORT_LIVED,
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.streaming.stateStore.providerClass": (
            "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
        ),
    }
    builder = SparkSession.builder.master("local-cluster[2,1,512]")
    for name, value in options.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def write(frame: DataFrame, folder: Path) -> None:
    """Write a frame as lines of JSON, numbers to the bit."""
    lines = [json.dumps(row.asDict(recursive=True)) for row in frame.collect()]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "part-0").write_text("\n".join(lines))


def main(mode: str, readings: str, folder: str, options: str) -> None:
    """Run a job."""
    spark, out = session(), Path(folder)
    given = json.loads(options)
    fields = {"key_by": "sensor", "values": "values", "timestamp": "time", "seq": "seq", **given}
    if mode == "batch":
        write(normalize(spark.read.schema(SCHEMA).json(readings), **fields), out / "lines")
        return
    rows = spark.readStream.schema(SCHEMA).option("maxFilesPerTrigger", 1).json(readings)
    writer = normalize(rows, **fields).writeStream.format("parquet").option("path", str(out / "parquet"))
    writer = writer.option("checkpointLocation", str(out / "checkpoint"))
    ended = mode == "finish"
    query = (writer.trigger(availableNow=True) if ended else writer.trigger(processingTime="0 seconds")).start()
    query.awaitTermination()
    write(spark.read.parquet(str(out / "parquet")), out / "lines")
    save_streams(spark, str(out / "checkpoint"), str(out / "blobs"))


if __name__ == "__main__":
    main(*sys.argv[1:])
