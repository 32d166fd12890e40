"""Material beside the repository, in ../shared: a published method's golden outputs, recordings of real sensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SHARED = Path(__file__).parents[1].parent / "shared"


def golden(name: str) -> dict[str, Any]:
    """Give a file of golden outputs, its lists of numbers as arrays."""
    data: dict[str, Any] = json.loads((SHARED / "golden" / f"{name}.json").read_text())
    data["cases"] = [_arrays(case) for case in data["cases"]]
    return _arrays(data)


def _arrays(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        key: np.array(value) if isinstance(value, list) and key != "cases" else value for key, value in fields.items()
    }


def office_room() -> dict[str, npt.NDArray[np.float64]]:
    """Give the columns of a fortnight in an office room, a reading a minute."""
    file = SHARED / "data" / "office_room.csv"
    names = file.read_text().split("\n", 1)[0].split(",")[1:]
    columns = np.loadtxt(file, delimiter=",", skiprows=1, usecols=range(1, len(names) + 1)).T
    return dict(zip(names, np.ascontiguousarray(columns), strict=True))
