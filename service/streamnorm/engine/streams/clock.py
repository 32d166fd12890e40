"""The time at which a reading was taken, as far as a device's stamp and the arrival tell.

Rules:

1. No reading was taken after it arrived: its time is the earlier of its stamp and the arrival, which is the stamp of a
   reading that has none. Where there is no clock to compare with (recorded files), stamps are believed.
2. A reading before the latest one is late. So many of them in a row that are in order among themselves
   (`Plan.patience`) tell that the device's clock was set back: from there on its stamps are moved forward by as much,
   and time goes on. A clock that is set right again, to the latest time or beyond, needs no moving.
3. One reading at a time and many at once come to the same bits.

A stream keeps of this: the latest time, what is added to stamps, how many readings in a row were late and the time of
the last of them, and what was told of the clock with the last reading.

All times are in seconds since 1970: `now` is the arrival, a `stamp` what a device says, None where it says nothing.
`state` is the stream's, `patience` its plan's, and of the `limits` only `max_ahead` is asked for.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streamnorm.engine.state.layout import HEADER_SIZE, LATE, LATE_TIME, OFFSET, SKEW, TIME
from streamnorm.errors import InvalidReading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamnorm.engine.limits import Limits
    from streamnorm.engine.reading import Array

#: Seconds ahead that are worth telling; clocks that are kept in order by NTP differ by milliseconds.
NOTABLE = 1.0
#: Rows that are settled at once.
PIECE = 4096
#: years 1 to 9999
EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_799.0
UNITS = (("year", 31_557_600.0), ("day", 86_400.0), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0))
#: what a time in the wrong unit is larger by
WRONG_UNITS = ((1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds"))


#: the time of a reading, and then what the stream keeps of its clock: `state[TIME:HEAD]`
Settlement = tuple[float, float, float, float, float, float]


class Settled(NamedTuple):
    """The times of a block's rows, and what the stream keeps of its clock after them."""

    times: Array
    #: seconds by which each stamp was ahead; negative: by which the clock was found set back; None where all are 0
    skews: Array | None
    clock: array[float]


def settle(state: array[float], stamp: float | None, now: float, limits: Limits, patience: float) -> Settlement:
    """Return the time of a reading, and then what the stream keeps of its clock once it is applied."""
    latest, offset = state[TIME], state[OFFSET]
    raw = now if stamp is None else stamp
    ceiling, skew = math.inf, 0.0
    if limits.max_ahead is not None:
        ceiling = max(now, latest)
        skew = raw - now if raw - now >= NOTABLE else 0.0
    if offset and raw >= latest:
        offset = 0.0
    time = min(raw + offset, ceiling)
    if time >= latest:
        return time, time, offset, 0.0, 0.0, skew
    late = state[LATE] + 1.0 if state[LATE] and time >= state[LATE_TIME] else 1.0
    if late < patience:
        return time, latest, offset, late, time, skew
    offset = latest - raw
    return raw + offset, raw + offset, offset, 0.0, 0.0, time - latest


def settle_rows(state: array[float], stamps: Array, now: float, limits: Limits, patience: float) -> Settled:
    """Return the times of a block's rows, each of which has its stamp in `stamps`; the `state` stays as it is."""
    clock, rows = state[:HEADER_SIZE], len(stamps)
    first, last = float(stamps[0]), float(stamps[-1])
    if clock[TIME] <= first and last <= now and not clock[OFFSET] and not np.count_nonzero(stamps[1:] < stamps[:-1]):
        keep(clock, (last, last, 0.0, 0.0, 0.0, 0.0))  # as nearly always; what is below comes to the same
        return Settled(stamps, None, clock)
    times, skews = np.empty(rows), np.zeros(rows)
    at = 0
    while at < rows:
        piece = stamps[at : at + PIECE]
        steady = _settle_steady(clock, piece, now, limits, patience)
        end = at + len(steady)
        times[at:end] = steady
        if limits.max_ahead is not None:
            ahead = piece[: len(steady)] - now
            skews[at:end] = np.where(ahead >= NOTABLE, ahead, 0.0)
        if end < rows and len(steady) < len(piece):
            settled = settle(clock, float(stamps[end]), now, limits, patience)
            times[end], skews[end] = settled[0], settled[-1]
            keep(clock, settled)
            end += 1
        at = end
    clock[SKEW] = skews[-1]
    return Settled(times, skews if skews.any() else None, clock)


def _settle_steady(clock: array[float], stamps: Array, now: float, limits: Limits, patience: float) -> Array:
    """Settle rows up to the first one that changes what is added to stamps, and note them in `clock`."""
    latest, offset, waiting = clock[TIME], clock[OFFSET], clock[LATE]
    ceiling = math.inf if limits.max_ahead is None else max(now, latest)
    times = np.minimum(stamps + offset, ceiling)
    before = np.maximum.accumulate(np.concatenate(([latest], times)))
    late = times < before[:-1]
    run = np.zeros(len(times))
    changes = (stamps >= before[:-1]) & (offset != 0.0)
    if late.any():
        goes_on = late & np.concatenate(([waiting > 0.0], late[:-1]))
        goes_on &= times >= np.concatenate(([clock[LATE_TIME]], times[:-1]))
        index = np.arange(len(times))
        run = np.where(late, index - np.maximum.accumulate(np.where(goes_on, -waiting, index)) + 1.0, 0.0)
        changes |= run >= patience
    end = int(changes.argmax()) if changes.any() else len(times)
    if end:
        is_late = bool(late[end - 1])
        clock[TIME], clock[LATE] = before[end], run[end - 1]
        clock[LATE_TIME] = times[end - 1] if is_late else 0.0
    return times[:end]


def begin_clock(state: array[float], lasts: Iterable[float]) -> None:
    """Begin a clock for features of which nothing is known but the times of their last readings, if those are."""
    state[TIME:HEADER_SIZE] = array("d", (max(lasts, default=-math.inf), 0.0, 0.0, 0.0, 0.0))


def keep(state: array[float], settled: Settlement) -> None:
    """Note what `settle` returned."""
    _, state[TIME], state[OFFSET], state[LATE], state[LATE_TIME], state[SKEW] = settled


def check_time(stamp: float | None, now: float, limits: Limits, pointer: str = "/timestamp") -> None:
    """Refuse a `stamp` that no reading can have; `pointer` is its place in the error.

    Raises:
        InvalidReading: beyond the years 1 to 9999, or further ahead of `now` than the limit.

    """
    if stamp is None:
        return
    if not EARLIEST <= stamp <= LATEST:
        raise InvalidReading.at(pointer, f"{stamp!r} is not within the years 1 to 9999{_unit(stamp, now)}")
    if limits.max_ahead is not None and stamp > now + limits.max_ahead:
        detail = f"lies {in_words(stamp - now)} ahead of the service's clock{_unit(stamp, now)}"
        raise InvalidReading.at(pointer, f"{detail}; the limit (max_ahead) is {in_words(limits.max_ahead)}")


def in_words(seconds: float) -> str:
    """Write a span of time by its two largest units.

    >>> in_words(86_400.0), in_words(183_600.4), in_words(0.25)
    ('1 day', '2 days 3 hours', '0.25 seconds')
    """
    if seconds < 1.0:
        return f"{seconds:g} seconds"
    left, words = float(round(seconds)), []
    for name, length in UNITS:
        count, left = divmod(left, length)
        if count:
            words.append(f"{count:.0f} {name}{'s' if count > 1 else ''}")
    return " ".join(words[:2])


def _unit(stamp: float, now: float) -> str:
    """Guess the unit of a time that is none in seconds: the one by which it is within a year of now."""
    for factor, name in WRONG_UNITS:
        if abs(stamp / factor - now) < UNITS[0][1]:
            return f" (it would be in {name}; times are in seconds since 1970)"
    return ""
