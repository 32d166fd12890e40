"""How the arithmetic's cost grows with the work, beside pandas: `python -m tests.benchmarks.curves`."""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

from streamnorm.kernels import METHODS
from tests.benchmarks.arithmetic import built, ours, rate, weighted
from tests.benchmarks.report import Row, in_turns, on_one_core, show
from tests.pictures import COLORS, PICTURES, RAW, STYLE, save

TURNS = 5
VALUES = 400_000
FEATURES = (1, 8, 64, 100, 512, 1000, 4096)
ROWS = (1, 10, 100, 1_000, 10_000, 100_000)
COLUMNS = 8
PEER = "pandas, ewm mean and std"
#: stands above the table in docs/benchmarks.md
INTRODUCTION = """In process, on one core, all points of a curve and pandas' in turns. pandas computes the weighted mean
and deviation only, whatever our method is. Each call of ours starts with new states. In short or wide blocks pandas'
cost is mostly that of a call or a column.

![features a row](pictures/curve-features.png)
![rows a block](pictures/curve-block-rows.png)
![methods](pictures/curve-methods.png)

"""


class Curve(NamedTuple):
    """A curve's name, which its picture has too, the axis it runs along, a row a point, and what the rows count."""

    name: str
    axis: str
    points: Sequence[int | str]
    rows: list[Row]
    title: str = "Values a second"
    unit: str = "million values a CPU second"


class Point(NamedTuple):
    """A block of `rows` × `columns`, normalized by a method."""

    what: str
    method: str
    rows: int
    columns: int

    def measures(self) -> tuple[Callable[[], float], Callable[[], float]]:
        """Build what measures pandas and ours, each in millions of values a second."""
        block = np.random.default_rng(0).normal(20.0, 3.0, (self.rows, self.columns))
        frame: Any = importlib.import_module("pandas").DataFrame(block)
        work = ours(self.method, block, built)
        return lambda: rate(lambda: weighted(frame), block.size), lambda: rate(work, block.size)

    def row(self, theirs: Sequence[float], own: Sequence[float]) -> Row:
        """Return the comparison of figures that were measured in turns."""
        return Row(self.what, PEER, theirs, own, "M values/s", "", f"{self.rows} × {self.columns} float64")


def measured(points: Sequence[Point]) -> list[Row]:
    """Measure all points of a curve in turns, so that a change of the machine's speed does not bend it."""
    found = in_turns(TURNS, *(measure for point in points for measure in point.measures()))
    return [point.row(*pair) for point, pair in zip(points, zip(found[::2], found[1::2], strict=True), strict=True)]


def features() -> Curve:
    """Measure `online` for more and more features, as many values in all."""
    rows = measured([Point(f"features a row: {n}", "online", VALUES // n, n) for n in FEATURES])
    return Curve("features", "features a row", FEATURES, rows)


def block_rows() -> Curve:
    """Measure `online` for longer and longer blocks."""
    rows = measured([Point(f"rows a block: {n}", "online", n, COLUMNS) for n in ROWS])
    return Curve("block-rows", f"rows a block of {COLUMNS} features", ROWS, rows)


def methods() -> Curve:
    """Measure each method over the same block."""
    rows = measured([Point(f"method: {name}", name, VALUES // COLUMNS, COLUMNS) for name in METHODS])
    return Curve("methods", "method", list(METHODS), rows)


def draw(curve: Curve) -> Any:
    """Draw ours and the peer's curve, with logarithmic axes; between methods there is nothing to join."""
    counted = not isinstance(curve.points[0], str)
    picture, axis = plt.subplots(figsize=(6.4, 3.2))
    axis.set_title(f"{curve.title} by {curve.axis}", fontweight="bold")
    curves: tuple[tuple[str, str, int, Any], ...] = (
        ("streamnorm", COLORS["online"], 3, [statistics.median(row.ours) for row in curve.rows]),
        (curve.rows[0].peer, RAW, 5, [statistics.median(row.theirs) for row in curve.rows]),
    )
    # The peer's marks are hollow: ours show inside them where both are equal.
    for label, color, size, values in curves:
        axis.plot(
            curve.points,
            values,
            "o-" if counted else "o",
            color=color,
            label=label,
            linewidth=1,
            markersize=size,
            markerfacecolor=color if size == 3 else "none",
        )
    axis.set_yscale("log")
    if 0 in curve.points:
        axis.set_xscale("symlog", linthresh=1)
        axis.set_xlim(left=-0.1)
    elif counted:
        axis.set_xscale("log")
    axis.set_xlabel(curve.axis)
    axis.set_ylabel(curve.unit)
    axis.legend(frameon=False)
    return picture


def measure() -> list[Row]:
    """Measure the curves, draw a picture of each, and return their points."""
    with on_one_core():
        curves = [curve() for curve in (features, block_rows, methods)]
    return drawn(curves)


def drawn(curves: Sequence[Curve]) -> list[Row]:
    """Draw a picture of each curve, and return the points of all."""
    mpl.use("agg")
    with mpl.rc_context(STYLE):
        for curve in curves:
            save(draw(curve), PICTURES / f"curve-{curve.name}.png")
    return [row for curve in curves for row in curve.rows]


def main() -> None:
    """Print the table."""
    show(measure())


if __name__ == "__main__":
    main()
