"""The Numenta Anomaly Benchmark's standard score of |y| as an anomaly's score.

A. Lavin and S. Ahmad, *Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark* (ICMLA 2015).
In a window the earliest detection counts, by a sigmoid of how early it is; outside, a detection costs 0.11 by a sigmoid
of how far behind the last window it lies; a window that was missed costs 1. The first 15 % of a series, at most 750
readings, are not judged. One threshold, the best one, holds for all series; 0 is to say nothing, 100 to be perfect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tests.benchmarks.quality.contenders import Array, Contender
from tests.benchmarks.quality.data import Window

FALSE_ALARM = 0.11
PROBATION, LONGEST_PROBATION = 0.15, 750
FAR = 3.0


def sigmoid(position: Array | float) -> Array:
    """Return 2/(1 + exp(5·position)) − 1: the later, the less."""
    result: Array = 2.0 / (1.0 + np.exp(5.0 * np.asarray(position))) - 1.0
    return result


def gains(size: int, windows: Sequence[Window]) -> tuple[Array, Array]:
    """Return what a detection at each reading is worth, and the number of its window, −1 outside."""
    places = np.arange(size)
    worth, of = np.full(size, -FALSE_ALARM), np.full(size, -1.0)
    for number, (begin, end) in enumerate(windows):
        inside = slice(begin, end + 1)
        of[inside] = number
        worth[inside] = sigmoid(-(end - places[inside] + 1) / (end - begin + 1)) / sigmoid(-1.0)
        behind = slice(end + 1, windows[number + 1][0] if number + 1 < len(windows) else size)
        distance = (places[behind] - end) / (end - begin)
        worth[behind] = FALSE_ALARM * np.where(distance > FAR, -1.0, sigmoid(distance))
    return worth, of


def score(series: Mapping[str, tuple[Array, list[Window]]], normalize: Contender, span: float) -> float:
    """Return the standard score at the threshold that is best for all series together."""
    parts = []
    count = 0
    for xs, windows in series.values():
        worth, of = gains(len(xs), windows)
        judged = slice(int(min(PROBATION * len(xs), LONGEST_PROBATION)), None)
        numbered = np.where(of < 0, -1, of + count)
        parts.append(np.stack([np.abs(normalize(xs, span)), worth, numbered])[:, judged])
        count += len(windows)
    found = np.concatenate(parts, axis=1)
    ranked = found[:, np.argsort(-found[0], kind="stable")].T.tolist()
    caught = [-1.0] * count
    total = best = -float(count)
    for place, (height, worth_, number) in enumerate(ranked):
        if number < 0:
            total += worth_
        elif worth_ > caught[int(number)]:
            total += worth_ - caught[int(number)]
            caught[int(number)] = worth_
        if total > best and (place + 1 == len(ranked) or ranked[place + 1][0] < height):
            best = total
    return 100.0 * (best + count) / (2.0 * count)
