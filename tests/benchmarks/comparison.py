"""What normalizers do with difficult sensors, one reading at a time, in one run: the table of docs/comparison.md.

`.venv-bench/bin/python -m tests.benchmarks.comparison` writes it. Gymnasium computes the statistics of VecNormalize.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import warnings
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from streamnorm import Normalizer

DOCS = Path(__file__).parents[2] / "docs" / "comparison.md"
MARKS = ("<!-- measured: python -m tests.benchmarks.comparison -->\n", "<!-- end -->\n")
HORIZON = 1000
LIBRARIES = ("streamnorm", "river", "scikit-learn", "ezmsg-sigproc", "gymnasium", "numpy")
Step = Callable[[float], float]


def streamnorm(method: str) -> Step:
    """Return a step of ours."""
    normalizer = Normalizer(method=method, horizon=HORIZON)

    def step(x: float) -> float:
        y = normalizer.observe([x]).values[0]
        return float("nan") if y is None else float(y)

    return step


def river(name: str, **options: Any) -> Step:
    """Return a step of river's."""
    scaler = getattr(importlib.import_module("river.preprocessing"), name)(**options)

    def step(x: float) -> float:
        scaler.learn_one({"x": x})
        return float(scaler.transform_one({"x": x})["x"])

    return step


def scikit_learn() -> Step:
    """Return a step of scikit-learn's."""
    scaler = importlib.import_module("sklearn.preprocessing").StandardScaler()
    return lambda x: float(scaler.partial_fit([[x]]).transform([[x]])[0, 0])


def signal_processor() -> Step:
    """Return a step of ezmsg-sigproc's."""
    axis_array = importlib.import_module("ezmsg.util.messages.axisarray").AxisArray
    made = importlib.import_module("ezmsg.sigproc.scaler").AdaptiveStandardScalerTransformer
    transformer = made(time_constant=float(HORIZON), axis="time")
    axes = {"time": axis_array.TimeAxis(fs=1.0)}

    def step(x: float) -> float:
        message = axis_array(np.array([[x]]), dims=["time", "ch"], axes=axes, key="a")
        return float(transformer(message).data[0, 0])

    return step


def environments() -> Step:
    """Return a step of gymnasium's NormalizeObservation, as of VecNormalize without its clip."""
    statistics: Any = importlib.import_module("gymnasium.wrappers.utils").RunningMeanStd(shape=(1,))

    def step(x: float) -> float:
        statistics.update(np.array([[x]]))
        return float((x - statistics.mean[0]) / np.sqrt(statistics.var[0] + 1e-8))

    return step


PEERS: dict[str, Callable[[], Step]] = {
    "`online`": lambda: streamnorm("online"),
    "`adaptive`": lambda: streamnorm("adaptive"),
    "river `StandardScaler`": lambda: river("StandardScaler"),
    "river `AdaptiveStandardScaler`": lambda: river("AdaptiveStandardScaler", fading_factor=1 / HORIZON),
    "scikit-learn `StandardScaler`": scikit_learn,
    "ezmsg-sigproc": signal_processor,
    "gymnasium, as VecNormalize": environments,
}


def ran(step: Step, xs: Iterable[float]) -> Any:
    """Return the normalized values."""
    return np.array([step(float(x)) for x in xs])


def constant(step: Step) -> str:
    """Observe a broken sensor: y is 0."""
    return f"{ran(step, [0.1] * 2000)[-1]:.3g}"


def offset(step: Step) -> str:
    """Observe what fluctuates by 1 about a hundred million: its spread is 1."""
    return f"{ran(step, 1e8 + np.random.default_rng(0).normal(size=4000))[-1000:].std():.3g}"


def tiny(step: Step) -> str:
    """Observe what fluctuates by a millionth: its spread is 1."""
    return f"{ran(step, 1e-6 * np.random.default_rng(0).normal(size=4000))[-1000:].std():.3g}"


def drift(step: Step) -> str:
    """Observe what rises by its spread every 1 000 readings: it is centred."""
    xs = np.random.default_rng(0).normal(size=20_000) + np.arange(20_000) / 1000
    return f"{ran(step, xs)[-5000:].mean():.2f}"


def wild(step: Step) -> str:
    """Observe a value of a million; 11 000 readings later the spread is 1 again."""
    xs = np.random.default_rng(0).normal(size=13_000)
    xs[2000] = 1e6
    return f"{ran(step, xs)[-1000:].std():.2g}"


def missing(step: Step) -> str:
    """Observe a missing value, which does no harm to those after it."""
    try:
        ys = ran(step, [1.0, 2.0, 3.0, float("nan"), 2.5, 1.5])
    except (TypeError, ValueError):
        return "error"
    return "yes" if np.isfinite(ys[4:]).all() else "no"


SENSORS = {
    "constant 0.1: y": constant,
    "1e8 ± 1: σ of y": offset,
    "0 ± 1e-6: σ of y": tiny,
    "drift of 1 σ in 1 000: offset": drift,
    "11 000 readings after one of 1e6: σ of y": wild,
    "goes on after NaN": missing,
}


def table() -> str:
    """Measure, and return the table."""
    heads = ["", *SENSORS]
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    for name, made in PEERS.items():
        sys.stdout.write(f"{name} …\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cells = [measure(made()) for measure in SENSORS.values()]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return f"Measured on {datetime.now(UTC).date()}: {versions}.\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Write the table into the page."""
    page = DOCS.read_text()
    before, _, rest = page.partition(MARKS[0])
    found = table()
    sys.stdout.write(found)
    DOCS.write_text(f"{before}{MARKS[0]}{found}{MARKS[1]}{rest.partition(MARKS[1])[2]}")


if __name__ == "__main__":
    main()
