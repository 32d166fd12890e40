"""The first rows of a recording, raw and normalized, without learning anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streamnorm.backfill.findings.findings import Findings
from streamnorm.backfill.reading.readings import Sorter
from streamnorm.backfill.reading.sources import begin, chunks
from streamnorm.backfill.times.clock import LocalSeconds, Seconds
from streamnorm.backfill.work.conduct import Looked
from streamnorm.engine.reading import Array
from streamnorm.formats.instants import rfc3339
from streamnorm.normalizer import Normalizer

#: rows that are shown
ROWS = 10


def preview(looked: Looked, config: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Normalize the first rows without learning anything; returns names, and rows of raw and normalized cells."""
    findings = looked.findings
    sorter = Sorter(findings, looked.template)
    chunk = next(iter(chunks(looked.path, findings, begin(findings), remote=True)), None)
    numbered = findings.roles.numbered
    if chunk is None:
        return list(numbered), []
    results: dict[str, Array] = {name: np.full(len(chunk), np.nan) for name in numbered}
    for part in sorter.taken(chunk).parts:
        times = None if part.times is None else part.times.tolist()
        answer = Normalizer(**config).observe_block(part.values, features=part.names, timestamps=times)
        sorter.put(part, answer.values, results)
    shown = [name for name in (*findings.roles.time, findings.roles.feature_column) if name]
    rows = []
    for row in range(min(ROWS, len(chunk))):
        cells = [_shown(findings, chunk.column(name), row) for name in shown]
        for name in numbered:
            y = float(results[name][row])
            cells += [_shown(findings, chunk.column(name), row), "" if np.isnan(y) else f"{y:.4g}"]
        rows.append(cells)
    heads = shown + [head for name in numbered for head in (name, f"{name} normalized")]
    return heads, rows


def _shown(findings: Findings, column: Sequence[Any], row: int) -> str:
    """Write a cell of a column as a person reads it; a time without a zone has none here either."""
    cell = column[row]
    if cell is None:
        return ""
    if isinstance(cell, str):
        return findings.encoding.decoded(cell).strip()
    if isinstance(column, Seconds):
        return rfc3339(cell).removesuffix("Z" if isinstance(column, LocalSeconds) else "") if np.isfinite(cell) else ""
    return f"{cell:g}" if isinstance(cell, float) else str(cell)
