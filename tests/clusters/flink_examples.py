"""What is shown of Flink, run in one process: the page's code, deploy/flink_job.py on files, and its tables of Kafka.

Arguments: a folder, and the jars of the connector for Kafka. It prints what was given, and what came of it, as JSON.
"""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyflink.common import Configuration, Row, Types
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.table import DataTypes, StreamTableEnvironment, Table

from streamnorm.engines.arrow import read_batch, write_batch
from tests.clusters.page_code import GIVEN, ROOT, WIDE, Namespace, page

#: what is written to a table of Kafka
INSERT = (
    "INSERT INTO normalized SELECT `sensor`, `seq`, `time`, `values`, "
    "CAST(1 AS BIGINT), TRUE, CAST(0 AS BIGINT), FALSE, CAST(NULL AS STRING) FROM readings"
)


def blocks(environment: StreamExecutionEnvironment) -> DataStream:
    """Return blocks of readings, the last of which is none."""
    columns = [{name: row[name] for name in ("seq", "time", "temp", "door")} for row in WIDE]
    rows = [Row("boiler", write_batch(pa.RecordBatch.from_pylist(some))) for some in (columns[:5], columns[5:])]
    kind = Types.ROW_NAMED(["sensor", "block"], [Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE())])
    return environment.from_collection([*rows, Row("boiler", b"no block")], kind)


def shown(environment: StreamExecutionEnvironment, tables: StreamTableEnvironment) -> dict[str, Any]:
    """Run the page's code."""
    values = Types.MAP(Types.STRING(), Types.DOUBLE())
    kind = Types.ROW_NAMED([*GIVEN[0]], [Types.STRING(), Types.LONG(), Types.DOUBLE(), values])
    stream = environment.from_collection([Row(*row.values()) for row in GIVEN], kind)
    fields = [("sensor", DataTypes.STRING()), ("temp", DataTypes.DOUBLE()), ("door", DataTypes.DOUBLE())]
    wide = DataTypes.ROW([DataTypes.FIELD(*field) for field in fields])
    table = tables.from_elements([(row["sensor"], row["temp"], row["door"]) for row in WIDE], wide)
    names = Namespace(stream=stream, table_environment=tables, table=table)
    first, second = page("Flink")
    exec(first, names)  # noqa: S102 - the page's
    of_rows, of_table = names.done
    names["stream"] = blocks(environment)
    exec(second, names)  # noqa: S102 - the page's
    found: list[dict[str, Any]] = []
    errors = []
    for _, block, error in collected(names.done[-1]):
        errors.append(error)
        # what is collected comes as Java's bytes, which have a sign
        found += read_batch(bytes(each & 0xFF for each in block)).to_pylist() if error is None else []
    return {"rows": named(of_rows), "table": named(of_table), "blocks": found, "errors": errors}


def named(rows: DataStream | Table) -> list[dict[str, Any]]:
    """Return rows by their names."""
    names = rows.get_schema().get_field_names() if isinstance(rows, Table) else rows.get_type().get_field_names()
    return [dict(zip(names, row, strict=True)) for row in collected(rows)]


def collected(rows: DataStream | Table) -> list[Row]:
    """Run a job, and return its rows."""
    with rows.execute().collect() if isinstance(rows, Table) else rows.execute_and_collect() as found:
        return list(found)


def of_files(folder: Path) -> list[dict[str, Any]]:
    """Run the job of deploy/ on files, in place of topics."""
    (folder / "readings").mkdir()
    (folder / "readings" / "0.json").write_text("\n".join(map(json.dumps, GIVEN)))
    definitions = (ROOT / "deploy/flink_kafka.sql").read_text()
    for name in ("readings", "normalized"):
        options = f"'connector' = 'filesystem', 'path' = 'file://{folder}/{name}', 'format' = 'json'"
        definitions, count = re.subn(
            rf"(CREATE TABLE {name} .*?WITH) \(.*?\);", rf"\1 ({options});", definitions, flags=re.DOTALL
        )
        assert count == 1
    (folder / "files.sql").write_text(definitions)
    sys.argv = ["flink_job.py", str(folder / "files.sql"), "--wait"]
    runpy.run_path(str(ROOT / "deploy/flink_job.py"), run_name="__main__")
    files = [file for file in (folder / "normalized").iterdir() if not file.name.startswith(".")]
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def of_kafka(tables: StreamTableEnvironment) -> str:
    """Let the planner check the tables of Kafka, with all their options, and return its plan."""
    statements = runpy.run_path(str(ROOT / "deploy/flink_job.py"))["statements"]
    for statement in statements((ROOT / "deploy/flink_kafka.sql").read_text()):
        tables.execute_sql(statement)
    return str(tables.explain_sql(INSERT))


def main(folder: str, *jars: str) -> None:
    """Run all of it."""
    options = Configuration()
    options.set_string("python.executable", sys.executable)
    options.set_string("parallelism.default", "1")
    options.set_string("pipeline.jars", ";".join(f"file://{jar}" for jar in jars))
    environment = StreamExecutionEnvironment.get_execution_environment(options)
    environment.set_parallelism(1)
    tables = StreamTableEnvironment.create(environment)
    told = {"given": GIVEN, "wide": WIDE, "kafka": of_kafka(tables)}
    told |= shown(environment, tables)
    print(json.dumps(told | {"files": of_files(Path(folder))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
