"""A job for the tests, in one process: a table and blocks, normalized, in lines of JSON on standard output."""

from __future__ import annotations

import json
import sys
from typing import Any

import pyarrow as pa
from pyflink.common import Configuration, Row, Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import DataTypes, StreamTableEnvironment

from streamnorm.engines.arrow import read_batch, write_batch
from streamnorm.engines.flink import normalize_blocks, normalize_table


def main() -> None:
    """Normalize the same readings both ways."""
    options = Configuration()
    options.set_string("python.executable", sys.executable)
    environment = StreamExecutionEnvironment.get_execution_environment(options)
    environment.set_parallelism(1)
    tables = StreamTableEnvironment.create(environment)
    readings = [("boiler", n, 20.0 + n % 3) for n in range(12)]
    schema = DataTypes.ROW(
        [
            DataTypes.FIELD("sensor", DataTypes.STRING()),
            DataTypes.FIELD("seq", DataTypes.BIGINT()),
            DataTypes.FIELD("temp", DataTypes.DOUBLE()),
        ]
    )
    table = normalize_table(tables, tables.from_elements(readings, schema), key_by="sensor", values=["temp"], seq="seq")
    with table.execute().collect() as rows:
        by_row = [dict(zip(table.get_schema().get_field_names(), row, strict=True)) for row in rows]
    batches = [
        pa.RecordBatch.from_pydict({"seq": [r[1] for r in some], "temp": [r[2] for r in some]})
        for some in (readings[:5], readings[5:])
    ]
    blocks = [Row("boiler", write_batch(batch)) for batch in batches] + [Row("boiler", b"no block")]
    kind = Types.ROW_NAMED(["sensor", "block"], [Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE())])
    stream = environment.from_collection(blocks, kind)
    done = normalize_blocks(stream, key_by="sensor", block="block", values=["temp"], seq="seq")
    by_block: list[dict[str, Any]] = []
    errors = []
    for _, block, error in done.execute_and_collect():
        errors.append(error)
        # what is collected comes as Java's bytes, which have a sign
        by_block += read_batch(bytes(each & 0xFF for each in block)).to_pylist() if error is None else []
    print(json.dumps({"rows": by_row, "blocks": by_block, "errors": errors}))


if __name__ == "__main__":
    main()
