"""streamnorm in Apache Spark (the extra `spark`): streams of Structured Streaming, and tables.

Spark keeps each stream's blob as state in RocksDB, beside its checkpoints; the arithmetic is the service's, to the bit.

`rules` and `ttl` are the options that `streamnorm.engines.options.Options` documents. Inside, a `blob` is a stream's
state, None before its first reading, `now` the time (s since 1970) of a reading without one, and `stream_id` the key.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own examples name it
from pyspark.sql.streaming.stateful_processor import StatefulProcessor, StatefulProcessorHandle
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DoubleType,
    LongType,
    NumericType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from streamnorm.engines.frames import observe_frame
from streamnorm.engines.options import Options
from streamnorm.engines.rows import COUNT, ERROR, GAP, READY, REPLAYED, Fields
from streamnorm.engines.rules import AnyRules
from streamnorm.stores.blob_files import save_blobs

if TYPE_CHECKING:
    from pyspark.sql.streaming.stateful_processor import TimerValues

STATE = StructType([StructField("blob", BinaryType())])
ANSWERED = StructType(
    [
        StructField(COUNT, LongType()),
        StructField(READY, BooleanType()),
        StructField(GAP, LongType()),
        StructField(REPLAYED, BooleanType()),
        StructField(ERROR, StringType()),
    ]
)
#: holds a row's time as a number while the row is in Python, where Spark's own times would lose their zone
_TIME = "_streamnorm_time"
#: Streams in a file of blobs.
_FILE = 10_000


def normalize(
    frame: DataFrame,
    *,
    key_by: str,
    values: str | Sequence[str],
    timestamp: str | None = None,
    seq: str | None = None,
    rules: AnyRules | None = None,
    ttl: float = 0.0,
    blobs: str | None = None,
) -> DataFrame:
    """Normalize the rows of a frame and learn from them: of a stream as they come, of a table all of them.

    A stream's rows are observed in the order of `seq`, else of `timestamp`, within a micro-batch or the whole table.
    They come out as they came in, but for normalized values and the columns `count`, `ready`, `gap`, `replayed` and
    `error`. `key_by` … `blobs` are the options that `streamnorm.engines.options.Options` documents; `save_streams`
    takes streams back.

    Raises:
        InvalidReading: the frame lacks a column, or has one of those that are added.
        InvalidConfiguration, InvalidConfigFile: as `Options` says.

    """
    options = Options(key_by=key_by, values=values, timestamp=timestamp, seq=seq, rules=rules, ttl=ttl, blobs=blobs)
    options.check(frame.columns)
    frame, fields = _prepared(frame, options.fields)
    work, out = Work(options, fields), StructType([*frame.schema.fields, *ANSWERED.fields])
    grouped = frame.groupBy(key_by)
    if frame.isStreaming:
        made = grouped.transformWithStateInPandas(
            statefulProcessor=Normalize(work),
            outputStructType=out,
            outputMode="Append",
            # which never lets a query that takes what is there (`availableNow`) end: only where it is needed
            timeMode="ProcessingTime" if ttl else "None",
        )
    else:
        now = time.time()
        made = grouped.applyInPandas(lambda key, rows: work.observe(str(key[0]), None, rows, now)[1], out)
    return made.drop(_TIME)


def save_streams(spark: SparkSession, checkpoint: str, folder: str) -> None:
    """Write the streams of a query that is stopped, by its checkpoint's place, to a folder that all executors have.

    `streamnorm migrate --from blobs:///…` takes them from there.

    Raises:
        StoreUnavailable: the folder cannot be written.

    """
    states = spark.read.format("statestore").option("path", checkpoint).option("stateVarName", "stream").load()
    (key,) = states.schema["key"].dataType.fieldNames()
    stream_id = F.col("key").getField(key).cast("string")
    rows = states.select(stream_id.alias("stream"), F.col("value.blob").alias("blob"))

    def save(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            for start in range(0, len(frame), _FILE):
                some = frame.iloc[start : start + _FILE]
                save_blobs(folder, dict(zip(some["stream"], map(bytes, some["blob"]), strict=True)))
            yield pd.DataFrame({"streams": [len(frame)]})

    rows.mapInPandas(save, "streams long").collect()
    Path(folder).mkdir(parents=True, exist_ok=True)


@dataclasses.dataclass
class Work:
    """What is done to the rows of a stream, whose fields Spark has prepared."""

    options: Options
    fields: Fields

    def observe(
        self, stream_id: str, blob: bytes | None, rows: pd.DataFrame, now: float
    ) -> tuple[bytes | None, pd.DataFrame]:
        """Observe rows into a stream, which may be new here."""
        if blob is None:
            blob = self.options.blob(stream_id)
        return observe_frame(blob, rows, self.fields, self.options.rulebook, now, stream_id=stream_id)


class Normalize(StatefulProcessor):  # type: ignore[misc]  # of pyspark's types
    """The operator of a stream."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def init(self, handle: StatefulProcessorHandle) -> None:
        """Ask for the state, when a micro-batch begins."""
        self._stream = handle.getValueState("stream", STATE, int(1000 * self._work.options.ttl) or None)

    def handleInputRows(  # noqa: N802 - Spark's name
        self,
        key: tuple[Any, ...],
        rows: Iterator[pd.DataFrame],
        timerValues: TimerValues,  # noqa: ARG002, N803
    ) -> Iterator[pd.DataFrame]:
        """Observe a micro-batch's `rows` of the stream `key`; there are no timers, so `timerValues` is not used."""
        kept = self._stream.get()
        whole = pd.concat(list(rows), ignore_index=True)
        blob, answered = self._work.observe(str(key[0]), None if kept is None else bytes(kept[0]), whole, time.time())
        if blob is not None:
            self._stream.update((blob,))
        yield answered

    def close(self) -> None:
        """Leave nothing open."""


def _prepared(frame: DataFrame, fields: Fields) -> tuple[DataFrame, Fields]:
    """Return the frame as Python is to have it: numbers as DOUBLE, times as seconds."""
    types = {field.name: field.dataType for field in frame.schema.fields}
    for name in fields.features:
        if isinstance(types[name], (NumericType, BooleanType)):
            frame = frame.withColumn(name, F.col(name).cast(DoubleType()))
    if fields.timestamp is not None and isinstance(types[fields.timestamp], TimestampType):
        frame = frame.withColumn(_TIME, F.col(fields.timestamp).cast(DoubleType()))
        fields = dataclasses.replace(fields, timestamp=_TIME)
    return frame, fields
