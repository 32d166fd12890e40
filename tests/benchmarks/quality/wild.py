"""How long one wild reading among 20 ± 0.1 is felt: until the deviation of y is, and stays, within 0.7 … 1.4."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.quality.contenders import CONTENDERS, Contender
from tests.benchmarks.quality.data import Data
from tests.benchmarks.quality.report import Goal, Part, at_most, table

BEFORE, AFTER, WINDOW = 3000, 50_000, 200
WILD = {"6553.5": 6553.5, "65 535": 65535.0, "10⁶": 1e6, "2³² − 1": 2.0**32 - 1.0, "−127": -127.0}
#: T and the readings within which it is to be forgotten
WITHIN = {16.0: 400, 256.0: 512, 1000.0: 2000}


def felt(normalize: Contender, span: float, wild: float) -> int:
    """Return for how many readings, in steps of 200, the deviation of y is not what it should be."""
    xs = np.random.default_rng(1).normal(20.0, 0.1, size=BEFORE + 1 + AFTER)
    xs[BEFORE] = wild
    stds = normalize(xs, span)[BEFORE + 1 :].reshape(-1, WINDOW).std(axis=1)
    off = np.flatnonzero((stds < 0.7) | (stds > 1.4))
    return int(off[-1] + 1) * WINDOW if len(off) else 0


def measure(_data: Data) -> Part:
    """Measure every contender at the default T; ours at three."""
    rows, goals = [], list[Goal]()
    for name, normalize in CONTENDERS.items():
        for span in WITHIN if name == "`adaptive`" else (1000.0,):
            found = {wild: felt(normalize, span, value) for wild, value in WILD.items()}
            told = (f"above {AFTER}" if count == AFTER else f"{count}" for count in found.values())
            rows.append((name, f"{span:g}", *told))
            if name == "`adaptive`":
                worst = max(found.values())
                goals.append(at_most(f"readings for which a wild one is felt, T = {span:g}", worst, WITHIN[span]))
    return Part("wild", table(("readings until forgotten", "T", *WILD), rows), goals)
