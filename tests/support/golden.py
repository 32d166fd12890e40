"""Golden outputs of published methods, in tests/data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parents[1] / "data"
#: the seed and the mean of the gradients that the reference was given
GRADIENT_SEED, GRADIENT_MEAN = 7, 0.125


def golden(name: str) -> dict[str, Any]:
    """Read a file of golden outputs; its lists of numbers become arrays."""
    data: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    data["cases"] = [_arrays(case) for case in data["cases"]]
    data = _arrays(data)
    data["grad_out"] = np.random.default_rng(GRADIENT_SEED).normal(size=data["x"].shape) + GRADIENT_MEAN
    return data


def _arrays(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        key: np.array(value) if isinstance(value, list) and key != "cases" else value for key, value in fields.items()
    }
