"""A job for the tests: readings, one at a time, normalized and written as lines of JSON.

Arguments: the readings (a JSON file), the folder of the output, and options of `normalize` as JSON. Beside the readings
lies a file `limit`: from that row on, rows come slowly, so that a test has time for accidents.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from pyflink.common import Encoder, Row, Types, WatermarkStrategy
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors.file_system import FileSink, RollingPolicy
from pyflink.datastream.connectors.number_seq import NumberSequenceSource

from streamnorm.engines.flink import normalize

#: seconds for a row beyond the limit
SLOW = 1.0
ROW = Types.ROW_NAMED(
    ["sensor", "seq", "time", "values"],
    [Types.STRING(), Types.LONG(), Types.DOUBLE(), Types.MAP(Types.STRING(), Types.DOUBLE())],
)


def main(readings: str, folder: str, options: str) -> None:
    """Submit the job; its operators have names, so that a savepoint fits whatever the parallelism."""
    rows: list[dict[str, Any]] = json.loads(Path(readings).read_text())
    limit = Path(readings).with_name("limit")

    def row(number: int) -> Row:
        time.sleep(SLOW if number >= int(limit.read_text()) else 0.0)
        return Row(*(rows[number][name] for name in ("sensor", "seq", "time", "values")))

    environment = StreamExecutionEnvironment.get_execution_environment()
    source = NumberSequenceSource(0, len(rows) - 1)
    numbers = environment.from_source(source, WatermarkStrategy.no_watermarks(), "numbers", Types.LONG())
    # readings of a stream stay in order as long as one task reads them
    given = numbers.uid("numbers").set_parallelism(1).map(row, ROW).uid("rows").set_parallelism(1)
    done = normalize(given, key_by="sensor", values="values", timestamp="time", seq="seq", **json.loads(options))
    names = [*ROW.get_field_names(), "count", "ready", "gap", "replayed", "error"]
    lines = done.map(lambda row: json.dumps(dict(zip(names, row, strict=True))), Types.STRING()).uid("lines")
    sink = (
        FileSink.for_row_format(folder, Encoder.simple_string_encoder())
        .with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy())
        .build()
    )
    lines.sink_to(sink).uid("files")
    environment.execute("normalize")


if __name__ == "__main__":
    main(*sys.argv[1:])
