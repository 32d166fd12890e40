"""The methods' own parameters, as the tests that are not about a method's numbers choose them."""

from __future__ import annotations

from typing import Any

#: each method's own parameters, none of them as by default
OWN: dict[str, dict[str, Any]] = {
    "online": {"horizon": 50.0},
    "adaptive": {"horizon": 50.0},
    "cumulative": {},
    "batch": {"window": 5},
    "batch-renorm": {"window": 5, "momentum": 0.1, "r_max": 2.0, "d_max": 1.0},
    "streaming": {"period": 7, "fold": 0.5, "mix": 0.5, "order": 1},
    "online-2019": {"alpha_fwd": 0.99, "eps": 0.001, "compensation": "layer-scaling"},
}
