"""The engine inside engines that keep streams themselves (Apache Flink, Apache Spark): a pure function of a blob.

`streamnorm.engines.flink` and `streamnorm.engines.spark` are operators; they need the extras `flink` and `spark`.
"""

from streamnorm.engines.blobs import Table, TableAnswer, observe_blob, observe_table
from streamnorm.engines.rules import rulebook_of

__all__ = ["Table", "TableAnswer", "observe_blob", "observe_table", "rulebook_of"]
