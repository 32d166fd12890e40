"""Blocks of values, here or on a CUDA device."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

#: float64; blocks may be float32 too
Array = npt.NDArray[Any]


def is_on_device(values: object) -> bool:
    """Return whether an array lies on a CUDA device; Numba's have a mark of their own, in its simulator too."""
    return hasattr(values, "__cuda_array_interface__") or hasattr(values, "__cuda_ndarray__")
