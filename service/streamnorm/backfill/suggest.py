"""Advice on recordings: they are read and normalized in this process, and nothing of it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from streamnorm.advice import Advice, advise
from streamnorm.advice.judge import feature_of
from streamnorm.backfill.findings.findings import Reading
from streamnorm.backfill.findings.roles import Asked
from streamnorm.backfill.reading.readings import Part, Sorter
from streamnorm.backfill.reading.sources import begin, chunks
from streamnorm.backfill.work.conduct import Conductor, Order
from streamnorm.engine.blocks.block import Block, observe_block
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Array
from streamnorm.engine.streams.feature_profile import profile
from streamnorm.engine.streams.stream import Stream

#: Readings of a stream that are judged, the last ones: a week at one every five seconds.
MOST_READINGS = 120_000
#: what is recorded is believed
LIMITS = Limits(max_ahead=None)


class Recorded:
    """A stream of a recording."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.stream = Stream(plan(configuration(config, {})))
        self._values: dict[str, list[Array]] = {}
        self._times: dict[str, list[Array]] = {}

    def observe(self, part: Part) -> None:
        """Observe some of its readings."""
        observe_block(self.stream, Block(part.names, part.values, part.times), 0.0, LIMITS)
        times = np.full(len(part.values), np.nan) if part.times is None else part.times
        for place, name in enumerate(part.names):
            self._values.setdefault(name, []).append(part.values[:, place])
            self._times.setdefault(name, []).append(times)

    def advice(self) -> list[Advice]:
        """Judge its features."""
        return advise(
            {
                name: feature_of(self.stream, name, each, _last(self._values[name]), _last(self._times[name]))
                for name, each in profile(self.stream).items()
            }
        )


def recorded(file: Path, stream: str = "", config: Mapping[str, Any] | None = None) -> dict[str, list[Advice]]:
    """Return the advice on each stream of the recording `file`.

    `stream` is the template of their ids, `config` how they are normalized; both default to what backfill does.

    Raises:
        Unreadable: the recording cannot be understood.

    """
    order = Order(Reading(asked=Asked(stream=stream)))
    found: dict[str, Recorded] = {}
    with Conductor(order, nullcontext, _Silent()) as conductor:  # type: ignore[arg-type] # nothing goes to streams
        looked = conductor.looked(file)
        sorter = Sorter(looked.findings, looked.template)
        for chunk in chunks(looked.path, looked.findings, begin(looked.findings)):
            for part in sorter.taken(chunk).parts:
                if part.stream not in found:
                    found[part.stream] = Recorded(config or {})
                found[part.stream].observe(part)
    return {name: each.advice() for name, each in found.items()}


class _Silent:
    """Hears what is found and done, and tells nobody."""

    def found(self, looked: object) -> None:
        """Hear of a recording."""

    def note(self, text: str) -> None:
        """Hear a note."""

    def progress(self, rows: int, part: float) -> None:
        """Hear of progress."""


def _last(pieces: list[Array]) -> Array:
    values: Array = np.concatenate(pieces)[-MOST_READINGS:]
    return values
