"""Jobs run in environments of their own; they are no tests."""

collect_ignore = ["flink_job.py", "spark_job.py"]
