"""What the operators in Flink and Spark are told."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property

from streamnorm.engines.rows import Fields
from streamnorm.engines.rules import AnyRules, refuse_circular, rulebook_of
from streamnorm.errors import InvalidReading
from streamnorm.stores.blob_files import BlobFiles


@dataclasses.dataclass(kw_only=True)
class Options:
    """The options of `normalize`, which mean the same in Flink and in Spark.

    `key_by` is the field with the stream's id; `values`, `timestamp` and `seq` are as `Fields` says.

    `rules` are those that `rulebook_of` takes, such as the path of a `streamnorm.toml`. A path is read where the job is
    submitted; a job that is restored with other rules goes on by these.

    A stream is forgotten `ttl` seconds after its last reading; 0 keeps it.

    `blobs` is a folder, which all workers have, from which streams go on that are new here: `streamnorm migrate
    --to blobs:///…` makes one of a service's.

    Raises:
        InvalidConfiguration, InvalidConfigFile: the rules are none.

    """

    key_by: str
    values: str | Sequence[str]
    timestamp: str | None = None
    seq: str | None = None
    rules: AnyRules | None = None
    ttl: float = 0.0
    blobs: str | None = None

    def __post_init__(self) -> None:
        values = self.values if isinstance(self.values, str) else tuple(self.values)
        self.fields = Fields(values, self.timestamp, self.seq)
        self.rulebook = rulebook_of(self.rules or {})

    def check(self, names: Sequence[str]) -> None:
        """Refuse rows with fields of these `names`, if they lack one, or have one of those that are added.

        Raises:
            InvalidReading: naming the field, and those that there are.
            InvalidConfiguration: the rules make two values of a field.

        """
        self.check_key(names)
        self.fields.check(names)
        self.check_columns()

    def check_key(self, names: Sequence[str]) -> None:
        """Refuse rows with fields of these `names`, if they lack the stream's id.

        Raises:
            InvalidReading: naming the fields that there are.

        """
        if self.key_by not in names:
            raise InvalidReading.at("", f"there is no field {self.key_by!r}; the rows have {', '.join(names)}")

    def check_columns(self) -> None:
        """Refuse rules that make two values of a field, for all streams.

        Raises:
            InvalidConfiguration: naming it.

        """
        refuse_circular(self.rulebook.default_plan, self.fields.columns)

    def blob(self, stream_id: str) -> bytes | None:
        """Return what a stream that is new here goes on from."""
        return None if self._before is None else self._before.get(stream_id)

    @cached_property
    def _before(self) -> BlobFiles | None:
        return None if self.blobs is None else BlobFiles(self.blobs)
