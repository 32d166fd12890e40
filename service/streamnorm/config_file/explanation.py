"""Which parameters hold for a stream and its features, and what says so: the service's defaults, a rule, the stream.

Rules:

1. What is explained is what `Plan` does: the same layers in the same order, over the same functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from streamnorm.config_file.file import ConfigFile, Table
from streamnorm.engine.configuration.config import to_json
from streamnorm.engine.configuration.rules import ALL, Layer, overlay, settled

#: what says something, beside rules
DEFAULT, STREAM = "default", "stream"


class Source(NamedTuple):
    """Something that speaks of a stream: `by` is default, rule or stream; a rule has its `streams` and its `table`."""

    by: str
    layer: Layer
    streams: str = ALL
    table: Table | None = None

    def line(self, parameter: str = "") -> int | None:
        """Return the line of a `parameter`, or of the whole; None where it is no rule's."""
        return None if self.table is None else self.table.lines.get(parameter, self.table.line)


class Held(NamedTuple):
    """A parameter's value and its source; None for what every method does by itself."""

    value: Any
    source: Source | None

    @property
    def matters(self) -> bool:
        """Whether it has a value at all."""
        return self.value is not None and self.value != {}


def sources(
    stream_id: str, file: ConfigFile | None, defaults: Mapping[str, Any], own: Sequence[Layer] = ()
) -> list[Source]:
    """Return what speaks of the stream `stream_id`, the lowest first: `defaults`, a `file`'s rules, `own` layers."""
    rules: Iterable[Source] = ()
    if file is not None:
        rules = (
            Source("rule", rule.layer, rule.streams, table)
            for rule, table in zip(file.rules.rules, file.rule_tables, strict=True)
            if rule.matches(stream_id)
        )
    return [Source(DEFAULT, Layer(ALL, defaults)), *rules, *(Source(STREAM, layer) for layer in own)]


def holding(found: Sequence[Source], feature: str = "") -> dict[str, Held]:
    """Return the parameters of a `feature`, or of those of which nothing speaks by name, and what says each.

    Raises:
        InvalidConfiguration: rules that are valid each do not go together.

    """
    above = [each for each in found if each.layer.features == ALL or (feature and each.layer.matches(feature))]
    said = {key: each for each in above for key in each.layer.parameters}
    config = to_json(settled(overlay([each.layer.parameters for each in above])))
    return {key: Held(value, said.get(key)) for key, value in config.items()}
