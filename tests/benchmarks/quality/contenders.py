"""What is compared: the methods, river's scalers, and what is usually written by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from river import preprocessing

from streamnorm import Normalizer

Array = npt.NDArray[np.float64]
#: (readings, T) -> what becomes of them
Contender = Callable[[Array, float], Array]

#: how each method is told T
CONFIGS: dict[str, Callable[[float], dict[str, Any]]] = {
    "online": lambda span: {"horizon": span},
    "adaptive": lambda span: {"horizon": span},
    "cumulative": lambda _: {},
    "batch": lambda span: {"window": max(2, round(span))},
    "batch-renorm": lambda span: {"window": max(2, round(span)), "momentum": 1.0 / span},
    "streaming": lambda span: {"period": max(2, round(span))},
    "online-2019": lambda span: {"alpha_fwd": 1.0 - 1.0 / span},
}
#: the normal distribution's standard deviation over its median absolute deviation
PER_MAD = 1.4826


def ours(method: str, xs: Array, span: float) -> Array:
    """Normalize by a method."""
    normalizer = Normalizer(method=method, **CONFIGS[method](span))
    ys: Array = normalizer.observe_block(xs.reshape(-1, 1), features=["x"]).values[:, 0]
    return ys


def rivers(make: Callable[[float], Any], xs: Array, span: float) -> Array:
    """Normalize by one of river's scalers."""
    scaler = make(span)
    ys = []
    for x in xs.tolist():
        scaler.learn_one({"x": x})
        ys.append(float(scaler.transform_one({"x": x})["x"]))
    return np.nan_to_num(ys)


def min_max(xs: Array, span: float) -> Array:
    """Normalize by river's `MinMaxScaler`, whose answers from 0 to 1 are spread from −1 to 1."""
    return 2.0 * rivers(lambda _: preprocessing.MinMaxScaler(), xs, span) - 1.0


def adaptive_scaler(span: float) -> Any:
    """Return river's scaler that forgets, at T."""
    make: Any = preprocessing.AdaptiveStandardScaler  # its parameters have no annotations
    return make(fading_factor=1.0 / span)


def rolling(xs: Array, span: float) -> Array:
    """Return the z-score within the last `span` readings, as pandas users write it."""
    window = pd.Series(xs).rolling(max(2, round(span)), min_periods=1)
    return scores(xs, window.mean().to_numpy(), window.std(ddof=0).to_numpy())


def median_mad(xs: Array, span: float) -> Array:
    """Return the deviation from the median of the last `span` readings in median absolute deviations."""
    size = max(2, round(span))
    median = pd.Series(xs).rolling(size, min_periods=1).median()
    mad = (pd.Series(xs) - median).abs().rolling(size, min_periods=1).median() * PER_MAD
    return scores(xs, median.to_numpy(), mad.to_numpy())


def scores(xs: Array, mean: Array, std: Array) -> Array:
    """Return z-scores, 0 where nothing has varied."""
    ys: Array = np.where(std > 1e-12 * np.abs(mean), (xs - mean) / np.where(std > 0, std, 1.0), 0.0)
    return ys


CONTENDERS: dict[str, Contender] = {
    **{f"`{method}`": partial(ours, method) for method in CONFIGS},
    "river `StandardScaler`": partial(rivers, lambda _: preprocessing.StandardScaler()),
    "river `AdaptiveStandardScaler`": partial(rivers, adaptive_scaler),
    "river `MinMaxScaler`": min_max,
    "rolling z-score": rolling,
    "rolling median and MAD": median_mad,
}
