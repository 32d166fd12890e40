"""Jobs run in environments of their own; they are no tests."""

collect_ignore = ["flink_job.py", "flink_tables.py", "spark_job.py"]
