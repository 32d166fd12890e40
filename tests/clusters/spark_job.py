"""The job of the tests: readings in folders of JSON files, normalized, written as lines of JSON.

Arguments: `stream` or `finish`; a folder; options of `normalize` as JSON. `stream` runs over the files in the folder's
`stream` until it is killed; `finish` goes on from its checkpoint until all files are read, then takes those in `table`
as one table, and runs the code of docs/scaling.md.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from streamnorm.engines.spark import normalize, save_streams
from tests.clusters.page_code import WIDE, Namespace, page

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
        # of a worker's start, on a busy machine
        "spark.python.authenticate.socketTimeout": "600s",
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


def main(mode: str, place: str, options: str) -> None:
    """Run the job."""
    spark, folder = session(), Path(place)
    given = json.loads(options)
    fields: dict[str, Any] = {"key_by": "sensor", "values": "values", "timestamp": "time", "seq": "seq"}
    rows = spark.readStream.schema(SCHEMA).option("maxFilesPerTrigger", 1).json(str(folder / "stream"))
    writer = normalize(rows, **fields, **given).writeStream.format("parquet").option("path", str(folder / "parquet"))
    writer = writer.option("checkpointLocation", str(folder / "checkpoint"))
    ended = mode == "finish"
    query = (writer.trigger(availableNow=True) if ended else writer.trigger(processingTime="0 seconds")).start()
    query.awaitTermination()
    write(spark.read.parquet(str(folder / "parquet")), folder / "streamed")
    save_streams(spark, str(folder / "checkpoint"), str(folder / "blobs"))
    table = spark.read.schema(SCHEMA).json(str(folder / "table"))
    write(normalize(table, **fields, rules=given["rules"]), folder / "tabled")
    names = Namespace(frame=spark.createDataFrame(WIDE))
    for code in page("Spark"):
        exec(code, names)  # noqa: S102 - the page's
    write(names.done[-1], folder / "shown")


if __name__ == "__main__":
    main(*sys.argv[1:])
