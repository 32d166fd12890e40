"""The job of deploy/spark.yaml: readings from a topic of Kafka, normalized, to another topic.

Arguments: the brokers, the topics from and to, and the folder of the checkpoint.
"""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own examples name it

from streamnorm.engines.spark import normalize

READING = "sensor string, seq long, time double, values map<string, double>"


def main(brokers: str, source: str, target: str, checkpoint: str) -> None:
    """Run the query until it is stopped."""
    spark = SparkSession.builder.getOrCreate()
    topic = spark.readStream.format("kafka").option("kafka.bootstrap.servers", brokers).option("subscribe", source)
    readings = topic.load().select(F.from_json(F.col("value").cast("string"), READING).alias("r")).select("r.*")
    normalized = normalize(readings, key_by="sensor", values="values", timestamp="time", seq="seq")
    rows = normalized.select(F.col("sensor").alias("key"), F.to_json(F.struct("*")).alias("value"))
    writer = rows.writeStream.format("kafka").option("kafka.bootstrap.servers", brokers).option("topic", target)
    writer.option("checkpointLocation", checkpoint).start().awaitTermination()


if __name__ == "__main__":
    main(*sys.argv[1:])
