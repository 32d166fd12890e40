"""The job of compose.flink.yaml and deploy/flink.yaml: from the table `readings` to the table `normalized`.

Run it as `flink run -py flink_job.py tables.sql`: the file defines both tables, flink_kafka.sql those of Kafka.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from streamnorm.engines.flink import normalize_table


def statements(text: str) -> list[str]:
    """Return the statements of a file of SQL; comments have lines of their own."""
    bare = re.sub(r"^--.*\n", "", text, flags=re.MULTILINE)
    return [statement for statement in bare.split(";") if statement.strip()]


def main(definitions: str) -> None:
    """Submit the job."""
    environment = StreamTableEnvironment.create(StreamExecutionEnvironment.get_execution_environment())
    for statement in statements(Path(definitions).read_text()):
        environment.execute_sql(statement)
    readings = environment.from_path("readings")
    normalized = normalize_table(environment, readings, key_by="sensor", values="values", timestamp="time", seq="seq")
    result = normalized.execute_insert("normalized")
    if "--wait" in sys.argv:
        result.wait()


if __name__ == "__main__":
    main(sys.argv[1])
