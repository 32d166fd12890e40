"""Draws the pictures of docs/methods.md, and writes its and the README's table of sensors: `make pictures`.

Everything is drawn from made-up readings by the service's own engine, the same on every run.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from PIL import Image

from tests.figures import FIGURES
from tests.support.sensors import Figures, figures, normalized

Array = npt.NDArray[np.floating]

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = DOCS / "pictures"
PAGES = (DOCS / "methods.md", DOCS.parent / "README.md")
START, END = "<!-- six kinds of sensors: written by make pictures -->", "<!-- end -->"
READINGS = 4000
COLOURS = 128
METHODS = ("online", "adaptive")
INK, GREY, RAW = "#1f2933", "#9aa5b1", "#52606d"
COLORS = {"online": "#1f77b4", "adaptive": "#e8710a"}
RANGES = ("#52606d", "#0f8b8d", "#a23b72")
STYLE: Any = {
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "figure.dpi": 120,
    "font.size": 9,
    "lines.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True)
class Picture:
    """One kind of sensor: its readings under their names, and how to show them."""

    title: str
    raw: dict[str, Array]
    unit: str
    limits: tuple[float, float] = (-4.5, 4.5)
    #: the raw readings' axis is logarithmic
    decades: bool = False
    #: the histograms' counts are logarithmic, for what comes rarely
    rare: bool = False
    #: the sensor is 0 or 1
    switch: bool = False


def pictures() -> dict[str, Picture]:
    """Build the sensors up, a file each."""
    rng = np.random.default_rng(0)
    noise, half, rarely = rng.normal(size=READINGS), rng.random(READINGS) < 0.5, rng.random(READINGS) < 0.01
    bell, t = rng.beta(6, 6, size=READINGS), np.arange(READINGS)
    late = t >= READINGS // 2
    return {
        "shifting": Picture("Shifting: the mean moves at once", {"": 20 + noise + 10 * late}, "°C"),
        "scaling": Picture("Scaling: the fluctuation grows tenfold at once", {"": noise * np.where(late, 10, 1)}, "g"),
        "ranges": Picture(
            "Ranges: the same sensor from 0 to 255, from 0 to 1 and from 0 to 0.000001",
            {"0 to 255": 255 * bell, "0 to 1": bell, "0 to 1e-6": 1e-6 * bell},
            "",
            decades=True,
        ),
        "constant": Picture(
            "Constant: a sensor that stops after 1000 readings",
            {"": np.where(t < 1000, 20 + noise, 24.1)},
            "V",
            rare=True,
        ),
        "two-level": Picture(
            "Two-level: a switch, on half of the time", {"": 1.0 * half}, "", (-1.8, 1.8), switch=True
        ),
        "rarely-active": Picture(
            "Rarely active: an alarm, on 1 % of the time", {"": 1.0 * rarely}, "", (-2, 16), rare=True, switch=True
        ),
        "drifting": Picture(
            "Drifting: a warming motor, one standard deviation in 500 readings", {"": 40 + noise + t / 500}, "°C"
        ),
    }


def draw(picture: Picture) -> Any:
    """Draw a sensor's readings above, below what became of them with either method, and histograms beside."""
    sensors = {name or "sensor": xs for name, xs in picture.raw.items()}
    drawn, axes = plt.subplots(3, 2, figsize=(8.4, 5.4), width_ratios=(5, 1), sharey="row", sharex="col")
    axes[0][0].set_title(picture.title, fontweight="bold")
    axes[0][0].set_ylabel(f"raw, {picture.unit}" if picture.unit else "raw")
    axes[0][0].set_xlim(0, READINGS)
    axes[0][1].set_title("how many, log" if picture.rare else "how many", color=RAW, fontsize=8)
    axes[2][0].set_xlabel("reading")
    if picture.decades:
        axes[0][0].set_yscale("log")
        axes[0][0].set_yticks([1e-6, 1e-3, 1, 1e3])
    if picture.switch:
        axes[0][0].set_ylim(-0.15, 1.15)
        axes[0][0].set_yticks([0, 1])
    show(axes[0], sensors, RAW, picture, raw=True)
    for row, method in zip(axes[1:], METHODS, strict=True):
        row[0].set_ylabel(method, color=COLORS[method])
        row[0].set_ylim(picture.limits)
        row[0].axhline(0, color=GREY, linewidth=0.6)
        show(row, normalized(method, sensors), COLORS[method], picture)
    for axis in axes[:, 1]:
        axis.xaxis.set_visible(False)
        axis.spines["bottom"].set_visible(False)
    if len(sensors) > 1:
        axes[0][0].legend(loc="center", ncols=3, frameon=False, markerscale=5, bbox_to_anchor=(0.5, 0.28))
        note = "all three, one upon the other"
        axes[1][0].text(0.995, 0.98, note, transform=axes[1][0].transAxes, ha="right", va="top", color=RAW)
    return drawn


def show(row: Any, sensors: dict[str, Array], color: str, picture: Picture, *, raw: bool = False) -> None:
    """Draw a dot a reading, and beside them how often which values come."""
    colors = RANGES if len(sensors) > 1 else (color,)
    for own, (name, values) in zip(colors, sensors.items(), strict=True):
        row[0].plot(values, ".", markersize=2.4, markeredgewidth=0, color=own, alpha=0.6, label=name)
        if picture.switch and picture.rare:
            row[0].vlines(*rises(values), color=own, linewidth=0.5, alpha=0.6)
        low, high = (values.min(), values.max()) if raw else picture.limits
        edges = np.geomspace(low, high, 31) if raw and picture.decades else np.linspace(low, high, 61)
        counts, edges = np.histogram(values, edges)
        heights = np.log1p(counts) if picture.rare else counts
        row[1].stairs(heights / heights.max(), edges, orientation="horizontal", fill=True, color=own, alpha=0.5)
        row[1].stairs(heights / heights.max(), edges, orientation="horizontal", color=own, linewidth=0.7)


def rises(values: Array) -> tuple[Any, float, Any]:
    """Return where an alarm is on, and from where to where a line is drawn then."""
    rest = float(np.median(values))
    where = np.flatnonzero(values > rest + 0.5)
    return where, rest, values[where]


def save(drawn: Any, file: Path) -> None:
    """Save a picture in few colours, which makes it small."""
    whole = io.BytesIO()
    drawn.savefig(whole)
    plt.close(drawn)
    Image.open(whole).convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE).save(file, optimize=True)


def table() -> str:
    """Write the table of the six kinds of sensors: what is asked of them, and what the two methods give."""
    told: tuple[tuple[str, str, Callable[[Figures], str]], ...] = (
        ("one sensor in the ranges 0-1, 0-255, 0-1e-6", "the same y", lambda f: f"to {f.ranges:.0e}"),
        ("constant", "exactly 0", lambda f: f"{f.constant:g}"),
        ("constant after a change", "goes to exactly 0", lambda f: f"after {f.settled} readings"),
        ("two levels, half and half", "−1 and +1, rms within 0.03", lambda f: f"within {f.levels:.3f}"),
        ("active 1 % of the time, at rest", "within 0.2 of 0, `adaptive` 0.4", lambda f: f"within {f.rest:.2f}"),
        ("active 1 % of the time, events", "above 5, `adaptive` 2.5", lambda f: f"above {f.event:.1f}"),
        ("drift of 1 σ in 20 000 readings", "offset to 0.07, σ of y 1", lambda f: drift(f.slow_drift)),
        ("drift of 1 σ in 1 000 readings", "the same of `adaptive`", lambda f: drift(f.drift)),
    )
    online, adaptive = figures("online"), figures("adaptive")
    rows = [("sensor", "asked for", "`online`", "`adaptive`"), ("---",) * 4]
    rows += [(what, asked, tell(online), tell(adaptive)) for what, asked, tell in told]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def drift(found: tuple[float, float]) -> str:
    """Write how a drift was followed."""
    offset, spread = found
    return f"offset {offset:.2f}, σ of y 1 ± {spread:.2f}"


def with_table(page: str) -> str:
    """Put the table of today into a page, where its marks are."""
    return re.sub(f"{START}.*?{END}", lambda _: f"{START}\n{table()}\n{END}", page, flags=re.DOTALL)


def main() -> None:
    """Draw everything."""
    for page in PAGES:
        page.write_text(with_table(page.read_text()))
    mpl.use("agg")
    PICTURES.mkdir(exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, picture in pictures().items():
            save(draw(picture), PICTURES / f"{name}.png")
        for name, figure in FIGURES.items():
            save(figure(), PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()
