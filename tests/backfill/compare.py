"""Every recording in a folder through `streamnorm backfill`, beside pandas: `python -m tests.backfill.compare FOLDER`.

What pandas normalizes are the numbers in the cells, cut and read here anew; the answers are compared to 1e-8.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from streamnorm.backfill.options import order_of
from streamnorm.backfill.reading.readings import Part
from streamnorm.backfill.reading.recordings import meant
from streamnorm.backfill.sinks.local import local
from streamnorm.backfill.work.conduct import Conductor, Looked
from streamnorm.engine.reading import Array
from tests.backfill.recorded import OPTIONS

CLOSE = 1e-8
HORIZON = 1000.0


class Heard:
    """Gathers what went into the streams and what came of it, and the findings."""

    def __init__(self) -> None:
        self.looked: Looked | None = None
        self.pieces: dict[tuple[str, str], list[Array]] = {}

    def found(self, looked: Looked) -> None:
        """Hear of a recording."""
        self.looked = looked

    def note(self, text: str) -> None:
        """Hear a note."""

    def progress(self, rows: int, part: float) -> None:
        """Hear of progress."""

    def readings(self, stream: str, part: Part, ys: Array) -> None:
        """Hear of a stream's readings."""
        for place, name in enumerate(part.names):
            pair = np.column_stack([part.values[:, place], ys[:, place]])
            self.pieces.setdefault((stream, name), []).append(pair)


def by_pandas(values: Array) -> Array:
    """Normalize values; NaN where there is none."""
    series = pd.Series(values)
    moving = series.ewm(alpha=1 / HORIZON, ignore_na=True)
    spread = moving.std(bias=True)
    normalized = ((series - moving.mean()) / spread).where(spread > 0, 0.0)
    answer: Array = normalized.where(series.notna()).to_numpy(dtype=np.float64)
    return answer


def parsed_anew(looked: Looked) -> dict[str, Array]:
    """Read a wide CSV's features by pandas, by what was found of it; empty where it is no plain table."""
    findings = looked.findings
    table, numerals = findings.table, findings.numerals
    if (
        findings.form != "csv"
        or table.dialect.delimiter == "blanks"
        or numerals.states
        or findings.roles.feature_column
    ):
        return {}
    frame = pd.read_csv(
        looked.path, sep=table.dialect.delimiter, decimal=numerals.decimal, header=None, skiprows=table.data,
        names=list(findings.names), index_col=False, comment=table.dialect.comment or None,
        encoding=findings.encoding.name, thousands=numerals.thousands or None, skipinitialspace=True,
        na_values=["-", "null"],
    ).dropna(how="all")  # fmt: skip
    return {name: pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64) for name in findings.roles.features}


def compared(path: Path) -> Iterator[str]:
    """Say of a recording what differs, or why it is refused; nothing where all is the same."""
    heard = Heard()
    with tempfile.TemporaryDirectory() as folder:
        order = order_of({**OPTIONS, "data_dir": Path(folder)})
        try:
            with Conductor(order, lambda: local(order.folder, order.config), heard) as conductor:
                conductor.done(path, None, heard.readings)
        except ValueError as error:
            yield f"refused: {error}"
            return
        assert heard.looked is not None
        anew = parsed_anew(heard.looked)
    streams = {stream for stream, _ in heard.pieces}
    for (stream, name), pieces in heard.pieces.items():
        raw, normalized = np.concatenate(pieces).T
        if len(streams) == 1 and name in anew and not np.array_equal(anew[name], raw, equal_nan=True):
            yield f"{name}: other numbers than pandas reads"
        off = np.abs(normalized - by_pandas(raw))
        if (np.isnan(normalized) != np.isnan(raw)).any() or np.nanmax(off, initial=0.0) > CLOSE:
            yield f"{stream} {name}: {np.nanmax(off, initial=0.0):.3g} off"


def main(folders: list[str]) -> int:
    """Compare all recordings of folders; returns the number of those that differ."""
    differ = 0
    for path in meant(folders):
        told = list(compared(path))
        differ += any(not each.startswith("refused") for each in told)
        print(f"{path.name}: {'; '.join(told) or 'same'}")  # noqa: T201
    return differ


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
