"""A page, or a picture, for one look: each feature raw and normalized, as a histogram and as a trace."""

from __future__ import annotations

import html
import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from streamnorm.backfill.reading.readings import Part
from streamnorm.backfill.unreadable import Unreadable
from streamnorm.engine.reading import Array

#: Points of a trace: as many as a screen has columns, and twice as many while they are gathered.
POINTS = 2_000
#: pictures of more features are of no use
MOST_FEATURES = 40
BINS = 60
#: The first readings are normalized by statistics of few others: they would set the scale.
WARMUP = 32
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>streamnorm</title>
<style>body{{font:15px system-ui;margin:2rem}}svg{{max-width:100%;height:auto}}</style>
<h1>Raw and normalized</h1>{rows}</html>
"""


class Trace:
    """Points of a feature that lie evenly; every second one goes when there are too many."""

    def __init__(self) -> None:
        self.seen = 0
        self.every = 1
        self.points: list[Array] = []

    def add(self, raw: Array, normalized: Array) -> None:
        """Gather points of a block."""
        first = -self.seen % self.every
        self.points.append(np.column_stack([raw, normalized])[first :: self.every])
        self.seen += len(raw)
        while sum(map(len, self.points)) > 2 * POINTS:
            self.points = [np.concatenate(self.points)[::2]]
            self.every *= 2

    @property
    def table(self) -> Array:
        """The points: raw and normalized."""
        return np.concatenate(self.points)


class Pictures:
    """Gathers what is shown while the work goes on, and draws it at the end.

    Raises:
        Unreadable: the report's ending is neither .html nor .png, or what draws it is not installed.

    """

    def __init__(self, report: Path) -> None:
        if report.suffix.lower() not in {".html", ".png"}:
            message = f"--report {report}: its ending must be .html or .png"
            raise Unreadable(message)
        try:
            importlib.import_module("matplotlib")
        except ModuleNotFoundError:
            message = "--report needs matplotlib: pip install 'streamnorm[report]'"
            raise Unreadable(message) from None
        self._traces: dict[str, Trace] = {}

    def heard(self, stream: str, part: Part, ys: Array) -> None:
        """Gather the readings of a `stream`: a `part`, and its normalized values `ys`."""
        for place, name in enumerate(part.names):
            key = f"{stream} {name}"
            if key in self._traces or len(self._traces) < MOST_FEATURES:
                self._traces.setdefault(key, Trace()).add(part.values[:, place], ys[:, place])

    def draw(self, report: Path) -> None:
        """Write the report."""
        if not self._traces:
            return
        if report.suffix.lower() == ".png":
            report.write_bytes(_drawn(self._traces, "png"))
            return
        rows = []
        for name, trace in self._traces.items():
            _, tag, picture = _drawn({name: trace}, "svg").decode().partition("<svg")
            rows.append(f"<h2>{html.escape(name)}</h2>{tag}{picture}")
        report.write_text(PAGE.format(rows="\n".join(rows)), encoding="utf-8")


def _drawn(traces: dict[str, Trace], form: str) -> bytes:
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import

    figure = Figure(figsize=(12, 2.6 * len(traces)), layout="constrained")
    axes: Any = figure.subplots(len(traces), 4, squeeze=False, width_ratios=(1, 2, 1, 2))
    for row, (name, trace) in zip(axes, traces.items(), strict=True):
        table = trace.table
        for place, (label, color) in enumerate((("raw", "#888888"), ("normalized", "#1f6feb"))):
            values = table[:, place]
            shown = values[np.isfinite(values)]
            later = shown[WARMUP:] if len(shown) > 4 * WARMUP else shown
            histogram, line = row[2 * place], row[2 * place + 1]
            if len(later):
                histogram.hist(later, bins=BINS, color=color)
            line.plot(np.arange(len(values)) * trace.every, values, color=color, linewidth=0.7)
            histogram.set_title(f"{name}, {label}" if form == "png" else label, fontsize=9, parse_math=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form)
    return buffer.getvalue()
