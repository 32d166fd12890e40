"""Readings and configurations, of every kind, for Hypothesis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from streamnorm.kernels import METHODS

number = st.one_of(st.floats(-1e75, 1e75), st.floats(-3.0, 3.0), st.sampled_from([0.0, 1.0, 1e9]), st.just(math.nan))
tables = st.lists(st.lists(number, min_size=3, max_size=3), min_size=1, max_size=25).map(np.array)
#: small windows, so that a few readings reach every branch
METHOD_CONFIGS: list[dict[str, Any]] = [
    {"horizon": 1000.0},
    {"horizon": 3.5},
    {"time_constant": 60.0},
    {"method": "batch", "window": 4},
    {"method": "batch-renorm", "window": 4},
    {"method": "streaming", "period": 5},
    {"method": "online-2019", "compensation": "layer-scaling"},
    *({"method": method} for method in sorted(METHODS)),
]
common = st.fixed_dictionaries(
    {
        "warmup": st.sampled_from([0, 3]),
        "clamp": st.sampled_from([None, 1.5]),
        "robust": st.sampled_from([None, 2.0]),
        "missing": st.sampled_from(["null", "mean"]),
        "affine": st.sampled_from([{}, {"b": {"gamma": -2.5, "beta": 0.1}}]),
    }
)
configs = st.tuples(st.sampled_from(METHOD_CONFIGS), common).map(lambda parts: {**parts[0], **parts[1]})
