"""State as released versions wrote it, and what they answered next.

`python -m tests.support.released` writes the file of this version.

Each file of tests/data/released has, for a stream of every method, the blob and the snapshot after some readings, the
readings that came next, and the answers to them.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

import streamnorm
from streamnorm.engine.streams.snapshot import export
from streamnorm.stores.codec import encode
from tests.support.engine import new, observe
from tests.support.methods import OWN

FOLDER = Path(__file__).parents[1] / "data" / "released"
LEARNED, NEXT = 40, 6

#: a configuration of every method, and of what else changes the state
CONFIGS: dict[str, dict[str, Any]] = {
    **{method: {"method": method, "warmup": 4, **own} for method, own in OWN.items()},
    "time-constant": {"time_constant": 60.0, "robust": 3.0},
    "finished": {"clamp": 2.0, "missing": "mean", "affine": {"temp": {"gamma": -2.0, "beta": 0.5}}},
}


def readings(seed: int = 0) -> list[dict[str, Any]]:
    """Return readings of a sensor, a door, one that is sometimes missing, and a channel."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for n in range(LEARNED + NEXT):
        temp, door, image = 20.0 + rng.normal(), float(rng.random() < 0.3), rng.normal(5.0, 2.0, size=(2, 2))
        rows.append({"temp": temp, "door": door, "co2": None if n % 7 == 3 else 400.0 + n, "ir": image.tolist()})
    return rows


def written(config: dict[str, Any]) -> dict[str, Any]:
    """Return what this version writes of a stream, and answers next."""
    stream, rows = new(**config), readings()
    for n, row in enumerate(rows[:LEARNED]):
        observe(stream, row, seq=n, timestamp=1_700_000_000.0 + 10.0 * n)
    state = {"config": config, "blob": base64.b64encode(encode(stream)).decode(), "snapshot": export(stream)}
    answers = [observe(stream, row, seq=LEARNED + n).values for n, row in enumerate(rows[LEARNED:])]
    plain = [[value.tolist() if isinstance(value, np.ndarray) else value for value in row] for row in answers]
    return {**state, "next": rows[LEARNED:], "answers": plain}


def main() -> None:
    """Write the file of this version."""
    file = FOLDER / f"{streamnorm.__version__}.json"
    file.write_text(json.dumps({name: written(config) for name, config in CONFIGS.items()}, indent=None) + "\n")


if __name__ == "__main__":
    main()
