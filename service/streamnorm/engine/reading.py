"""Readings as the engine takes them, and the check that makes them from plain JSON data."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from streamnorm.engine.limits import LARGEST_DEPTH, LARGEST_SEQ, LARGEST_VALUE, Limits
from streamnorm.engine.validation import abbreviate, escape_pointer
from streamnorm.errors import Fault, InvalidReading

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence

Array = npt.NDArray[np.float64]
#: stands for any number too large, so that a whole number of hundreds of digits does too
_BEYOND = 2.0 * LARGEST_VALUE
_NUMBERS = {float, int, bool}
#: the names of the features of short arrays, made once
_ORDINALS = tuple(map(str, range(256)))


class Channel(NamedTuple):
    """An array-valued feature of one reading: its elements, and their mean, variance, least and greatest."""

    elements: Array
    mean: float
    variance: float
    low: float
    high: float

    @classmethod
    def of(cls, elements: Array) -> Channel:
        """Sum an array up; NaN elements are left out, and all NaN is a missing value.

        The sums are taken relative to one element, so that equal elements have exactly their value as mean.
        """
        present = elements[~np.isnan(elements)]
        if not present.size:
            return cls(elements, math.nan, 0.0, math.nan, math.nan)
        origin = present[0]
        shifted = present - origin
        about = float(shifted.mean())
        variance = float(np.square(shifted - about).mean())
        return cls(elements, float(origin) + about, variance, float(present.min()), float(present.max()))


#: pandas is not imported for the sake of two names
MISSING_TYPES = frozenset({"NAType", "NaTType", "MaskedConstant"})

Value: TypeAlias = "float | Channel"


@dataclass(slots=True)
class Reading:
    """One sample: a value for each of `names`; `listed` where it came, and is answered, as an array."""

    names: tuple[str, ...]
    #: a list, or of many features without a channel an `array` of float64
    values: Sequence[Value]
    listed: bool = False
    timestamp: float | None = None
    seq: int | None = None
    #: no value is a channel
    plain: bool = True


@dataclass(slots=True)
class Answer:
    """A reading brought to zero mean and unit variance; arrays for channels, NaN where there is nothing to say."""

    #: as those of the reading
    values: list[float | Array] | array[float]
    count: int
    ready: bool
    gap: int = 0
    replayed: bool = False
    #: each feature's mean and standard deviation after the reading, where they were asked for
    mean_stds: list[tuple[float, float]] | None = None
    #: seconds by which the stamp was ahead of the arrival; negative: by which the device's clock was found set back
    skew: float = 0.0
    #: the names of `values`, where they are not those of the reading: a circular feature has two
    names: tuple[str, ...] | None = None

    def named(self, reading: Reading) -> tuple[str, ...]:
        """Return the names of the values, in the answer to this reading."""
        return reading.names if self.names is None else self.names


def parse_reading(
    values: object, limits: Limits, *, timestamp: float | None = None, seq: int | None = None, pointer: str = "/values"
) -> Reading:
    """Build a reading of `values`: a mapping of names, or a sequence, of numbers, None and (nested) arrays.

    `limits` bound them. `timestamp` (s since 1970) and the number `seq` are checked when the reading is observed.

    Raises:
        InvalidReading: naming every wrong place below `pointer`.

    """
    listed = not isinstance(values, dict)
    if isinstance(values, dict):
        names, given = tuple(values), list(values.values())
    elif isinstance(values, (list, tuple)) or (isinstance(values, np.ndarray) and values.ndim):
        names, given = ordinal_names(len(values)), list(values)
    else:
        raise InvalidReading.at(pointer, "must be an object of features, or an array")
    if not names:
        raise InvalidReading.at(pointer, "must hold at least one feature")
    faults: list[Fault] = []
    plain = True
    for place, value in enumerate(given):
        if type(value) is float and -LARGEST_VALUE <= value <= LARGEST_VALUE:
            continue
        name = str(names[place])
        given[place] = checked = _value(value, f"{pointer}/{escape_pointer(name)}", limits, faults)
        plain = plain and type(checked) is float
    if faults:
        raise InvalidReading.of(faults)
    return Reading(names, given, listed, timestamp, seq, plain)


def ordinal_names(count: int) -> tuple[str, ...]:
    """Return the names of the features of an array: 0, 1 and so on."""
    return _ORDINALS[:count] if count <= len(_ORDINALS) else tuple(map(str, range(count)))


def check_seq(seq: int, pointer: str = "/seq") -> None:
    """Refuse a sequence number out of range."""
    if not 0 <= seq <= LARGEST_SEQ:
        raise InvalidReading.at(pointer, f"{seq} is not within 0 and {LARGEST_SEQ}")


def _value(value: object, pointer: str, limits: Limits, faults: list[Fault]) -> Value:
    if is_absent(value):
        return math.nan
    if isinstance(value, (np.generic, np.ndarray)) and not value.ndim:
        value = value.item()
    if isinstance(value, (list, tuple, np.ndarray)):
        return _channel(value, pointer, limits, faults)
    if not _is_number(value):
        faults.append(Fault(pointer, f"must be a number, null or an array of numbers, not {abbreviate(value)}"))
        return math.nan
    if not -LARGEST_VALUE <= value <= LARGEST_VALUE and value == value:  # noqa: PLR0124 - NaN is a missing value
        faults.append(Fault(pointer, f"{abbreviate(value)} is not within ±{LARGEST_VALUE:g}"))
        return math.nan
    return float(value)


def _channel(value: object, pointer: str, limits: Limits, faults: list[Fault]) -> Value:
    elements, fault = _array(value)
    if fault is None and not 0 < elements.size <= limits.max_elements:
        detail = f"has {elements.size} elements, a channel has 1 to {limits.max_elements} (max_elements)"
        fault = Fault("", detail)
    if fault is None and elements.ndim > LARGEST_DEPTH:
        fault = Fault("", f"is nested {elements.ndim} deep, a channel is at most {LARGEST_DEPTH}")
    if fault is None and np.nanmax(np.abs(elements), initial=0.0) > LARGEST_VALUE:
        fault = Fault("", f"has an element that is not within ±{LARGEST_VALUE:g}")
    if fault is not None:
        faults.append(Fault(pointer + fault.pointer, fault.detail))
        return math.nan
    return Channel.of(elements)


def _array(value: object) -> tuple[Array, Fault | None]:
    """Build a float64 array of nested lists, or find the first place that is no number."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return filled(value), None
    irregular = Fault("", "must be a regular array: its rows differ in length or depth")
    if isinstance(value, list) and _are_numbers(value):
        with suppress(ValueError, OverflowError):  # of several lengths, or too large: what is wrong is found below
            return np.array(value, dtype=np.float64), None
    try:
        leaves = np.array(value, dtype=object)
    except ValueError:  # a list of arrays of several shapes
        return np.empty(0), irregular
    flat: list[Any] = [plain_number(leaf) for leaf in leaves.ravel().tolist()]
    for place, leaf in enumerate(flat):
        if isinstance(leaf, (list, tuple, np.ndarray)):
            return np.empty(0), irregular
        if leaf is not None and not _is_number(leaf):
            path = "".join(f"/{part}" for part in np.unravel_index(place, leaves.shape))
            return np.empty(0), Fault(path, f"must be a number or null, not {abbreviate(leaf)}")
    bounded = [math.nan if leaf is None or math.isnan(leaf) else max(-_BEYOND, min(_BEYOND, leaf)) for leaf in flat]
    return np.array(bounded, dtype=np.float64).reshape(leaves.shape), None


def _are_numbers(values: list[Any], depth: int = 1) -> bool:
    """Return whether nested lists hold Python's numbers alone, as JSON mostly does."""
    kinds = {*map(type, values)}
    if kinds == {list}:
        return depth < LARGEST_DEPTH and all(_are_numbers(each, depth + 1) for each in values)
    return kinds <= _NUMBERS


def is_absent(value: object) -> bool:
    """Return whether a value stands for none: None, a masked element, pandas' NA and NaT, and the text "nan"."""
    if isinstance(value, str):
        return value.lower() == "nan"
    return value is None or type(value).__name__ in MISSING_TYPES


def plain_number(value: object) -> object:
    """Return a NumPy scalar, or an array of no dimension, as Python's, and what stands for no value as None."""
    if is_absent(value):
        return None
    return value.item() if isinstance(value, (np.generic, np.ndarray)) and not value.ndim else value


def filled(values: npt.NDArray[Any], *, copy: bool = True) -> Array:
    """Return an array as float64, NaN where an element is masked."""
    made: Any = values.astype(np.float64, copy=copy)
    kept: Array = np.asarray(made.filled(np.nan) if hasattr(made, "filled") else made)  # masked: NumPy loads that late
    return kept


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float))  # True and False are 1 and 0
