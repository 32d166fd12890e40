"""Signs by which kinds of values are known; each takes recent readings of one feature, without missing ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Values that devices send where they have none: two of them are evidence, of others three.
USUAL_CODES = frozenset(
    {-9999.0, -999.0, -99.0, 999.0, 9999.0, 99999.0, -127.0, 85.0, -273.15, -273.1, 255.0, 65535.0, 6553.5, 655.35}
    | {32767.0, -32768.0, 3276.7, -3276.8, 327.67, -327.68, 2147483647.0, -2147483648.0, 4294967295.0, -1.0}
)
#: Share of readings that may be codes: what comes more often is a state of the device.
MOST_CODES = 0.2
#: Distance of a code from the nearest reading, in widths of nine tenths of the readings.
FAR = 2.0
#: Values of a sensor that measures; what takes fewer has states, whose extremes are no codes.
MEASURES = 12
#: How near to both ends of a turn an angle comes, and how much less it moves along the circle than along the line:
#: noise that is even from end to end comes to 0.75.
END, SHORTER = 20.0, 0.68
#: Factor between small and large values (the 2nd and the 98th percentile) from which they range over decades.
RANGE = 200.0
#: Share of readings that fall, of what only rises: resets.
RESETS = 0.05
#: Of two devices in one stream: how far their ranges are apart, in standard deviations of the wider one, how often the
#: readings change between them, and the least share of each.
APART, CHANGES, SHARE = 8.0, 0.25, 0.25


def missing_codes(values: Array) -> list[float]:
    """Return the values that come again and again far outside the rest.

    >>> missing_codes(np.concatenate([np.linspace(18, 24, 100), [-127.0] * 3, np.linspace(24, 18, 100)]))
    [-127.0]
    """
    found: list[float] = []
    rest = values
    while len(found) < 4:  # noqa: PLR2004 - more are states
        distinct, counts = np.unique(rest, return_counts=True)
        if len(distinct) < MEASURES:
            return []
        code = next((at for at in (0, -1) if _is_code(rest, float(distinct[at]), int(counts[at]))), None)
        if code is None:
            break
        found.append(float(distinct[code]))
        rest = rest[rest != distinct[code]]
    return found if len(values) - len(rest) <= MOST_CODES * len(values) else []


def _is_code(values: Array, code: float, count: int) -> bool:
    usual = code in USUAL_CODES
    if not code or count < (2 if usual else 3):
        return False
    rest = values[values != code]
    nearest = float(np.abs(rest - code).min())
    low, high = np.percentile(rest, (5, 95))
    return nearest > FAR * float(high - low) > 0.0


def turns(values: Array) -> float | None:
    """Return where the turn of an angle begins: 0, or −180; None if it is no angle that passes the ends.

    >>> turns(np.arange(0, 7200, 11.0) % 360)
    0.0
    """
    for begin in (0.0, -180.0):
        low, high = float(values.min()), float(values.max())
        if not (begin <= low < begin + END and begin + 360.0 - END < high <= begin + 360.0):
            continue
        steps = np.abs(np.diff(values))
        round_about = np.minimum(steps, 360.0 - steps)
        jumps = int((steps > 180.0).sum())  # noqa: PLR2004 - half a turn
        if jumps > 1 and round_about.mean() < SHORTER * steps.mean() and len(np.unique(values)) >= MEASURES:
            return begin
    return None


def rises(values: Array) -> bool:
    """Return whether values only rise, but for resets.

    >>> rises(np.arange(100.0) % 40), rises(np.sin(np.arange(100.0)))
    (True, False)
    """
    steps = np.diff(values)
    return bool((steps > 0.0).any()) and float((steps < 0.0).mean()) <= RESETS


def decades(values: Array) -> tuple[float, float, bool] | None:
    """Return the range of values that are spread over decades, and whether there are zeros among them.

    >>> decades(np.exp(np.random.default_rng(0).normal(size=1000) * 2)) is None
    False
    """
    if values.min() < 0.0:
        return None
    positive = values[values > 0.0]
    zeros = len(positive) < len(values)
    if len(positive) < len(values) / 2 or len(np.unique(positive)) < 4 * MEASURES:
        return None
    low, high = (float(x) for x in np.percentile(positive, (2, 98)))
    logs = np.log1p(positive) if zeros else np.log(positive)
    if high < RANGE * (1.0 if zeros else low) or high < RANGE * low or abs(_skew(logs)) > 0.5 * abs(_skew(positive)):
        return None
    return low, high, zeros


def alternates(values: Array) -> bool:
    """Return whether values jump to and fro between two separate ranges, each with fluctuations of its own.

    >>> rng = np.random.default_rng(0)
    >>> alternates(np.where(rng.random(400) < 0.5, 20.0, 60.0) + rng.normal(size=400))
    True
    """
    if len(values) < 4 * MEASURES:
        return False
    ordered = np.sort(values)
    gaps = np.diff(ordered)
    at = int(np.argmax(gaps))
    below, above = ordered[: at + 1], ordered[at + 1 :]
    if min(len(below), len(above)) < SHARE * len(values):
        return False
    if min(len(np.unique(below)), len(np.unique(above))) < MEASURES:
        return False
    upper = values > ordered[at]
    wide = max(float(below.std()), float(above.std()))
    return float(gaps[at]) > APART * wide and float((upper[1:] != upper[:-1]).mean()) >= CHANGES


def _skew(values: Array) -> float:
    shifted = values - values.mean()
    deviation = float(values.std())
    return float((shifted**3).mean()) / deviation**3 if deviation else 0.0
