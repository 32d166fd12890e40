"""The engine in process, without a server.

from streamnorm import Normalizer

boiler = Normalizer(horizon=500)
boiler.observe({"temp": 21.4, "door": 0}).values
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from streamnorm.engine.blocks import block
from streamnorm.engine.configuration.plan import of_configuration
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Answer, Array, Reading, parse_reading
from streamnorm.engine.streams import lifecycle, snapshot
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import InvalidReading
from streamnorm.formats.instants import seconds
from streamnorm.kernels.array_types import is_on_device
from streamnorm.kernels.dispatch import on_device
from streamnorm.normalizer import inputs

__all__ = ["Normalized", "NormalizedBlock", "Normalizer"]

#: In process nobody else pays for what a program does: only what the arithmetic cannot take is refused, and recorded
#: or simulated time may run ahead of the clock.
UNLIMITED = Limits(max_features=2**31, max_elements=2**31, max_rows=2**31, max_ahead=None)


@dataclass(frozen=True, slots=True)
class Normalized:
    """A normalized reading; `values`, `mean` and `std` have the form that was given (NaN is None outside arrays)."""

    values: Any
    count: int
    ready: bool
    mean: Any = None
    std: Any = None
    gap: int = 0
    replayed: bool = False
    #: seconds by which the device's clock was found set back: its stamps are moved forward by as much from now on
    clock_set_back: float = 0.0


@dataclass(frozen=True, slots=True)
class NormalizedBlock:
    """A normalized block: `values` has the form that was given; the counters are those after its last row."""

    values: Any
    features: tuple[str, ...]
    count: int
    ready: bool
    gap: int = 0
    replayed: bool = False
    #: as of a reading
    clock_set_back: float = 0.0


class Normalizer:
    """One stream in process, with results and errors identical to those of the service.

    The parameters are those of a stream's configuration: `method`, `horizon` or `time_constant`, `warmup`, `clamp`,
    `robust`, `missing`, `affine` and the method's own; `features` gives some of them others: `{"door*": {"horizon":
    20000}}`. `clock` gives the time of readings that come without one.

    Values are a dict of features, a sequence, a NumPy array or a pandas Series; a feature is a number or an array (a
    channel); None and NaN are missing values. Results have the same form. A feature takes about 100 bytes.

    A normalizer is not thread-safe: threads that share one must use a lock. It can be pickled and deep-copied.

    >>> boiler = Normalizer()
    >>> [round(boiler.observe({"temp": x}).values["temp"], 3) for x in (20.0, 22.0, 20.0)]
    [0.0, 0.999, -0.707]

    Raises:
        InvalidConfiguration: an unknown parameter, or a value out of its limits.

    """

    __slots__ = ("_clock", "_stream")

    def __init__(self, *, clock: Callable[[], float] = time.time, **config: Any) -> None:
        self._clock = clock
        self._stream = Stream(of_configuration(config))

    @classmethod
    def restore(cls, data: Mapping[str, Any], *, clock: Callable[[], float] = time.time) -> Self:
        """Build a normalizer from a snapshot of another one, or of a service's stream; it continues bit-identically.

        Raises:
            InvalidSnapshot: the snapshot is of another version, or damaged.

        """
        restored = cls.__new__(cls)
        restored._clock, restored._stream = clock, snapshot.restore_stream(dict(data), UNLIMITED)  # noqa: SLF001 - our own
        return restored

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a snapshot: versioned plain data."""
        return _restored, (type(self), self.snapshot(), self._clock)

    def __repr__(self) -> str:
        """Show the method and the counts of readings and features."""
        return f"<Normalizer {self.config['method']}: {self.count} readings of {len(self.features)} features>"

    @property
    def config(self) -> dict[str, Any]:
        """The whole configuration."""
        return self._stream.plan.to_json()

    @property
    def count(self) -> int:
        """How many readings were observed."""
        return self._stream.count

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, in order of first appearance."""
        return self._stream.layout.names

    def observe(self, values: Any, *, timestamp: Any = None, seq: int | None = None, stats: bool = False) -> Normalized:
        """Normalize a reading (`values` in any of the forms above) and learn from it.

        `timestamp` is epoch seconds, RFC 3339 or a datetime with a zone; `seq` makes retries safe, as in the service;
        `stats` adds each feature's mean and standard deviation.

        Raises:
            InvalidReading, ShapeMismatch, StaleSequence: the reading is rejected, and the state is unchanged.

        """
        given = inputs.parse_single(values)
        one = self._reading(given, timestamp, seq)
        answer = self._stream.observe(one, self._clock(), UNLIMITED)
        means, stds = self._spreads(one, answer, given) if stats else (None, None)
        values, set_back = given.shaped(answer.values, answer.names), max(0.0, -answer.skew)
        return Normalized(
            values, answer.count, answer.ready, means, stds, answer.gap, answer.replayed, clock_set_back=set_back
        )

    def normalize(self, values: Any, *, stats: bool = False) -> Normalized:
        """Normalize a reading by today's statistics, and learn nothing; a feature never seen gives a missing value."""
        given = inputs.parse_single(values)
        one = self._reading(given)
        answer = self._stream.normalize(one, self._clock())
        means, stds = self._spreads(one, answer, given) if stats else (None, None)
        return Normalized(given.shaped(answer.values, answer.names), answer.count, answer.ready, means, stds)

    def denormalize(self, values: Any) -> Any:
        """Convert normalized values back to the sensors' units, by the current statistics.

        Raises:
            CannotInvert: a feature is unknown, or its gamma is 0.

        """
        parsed = inputs.parse_single(values)
        reading = self._reading(parsed)
        names, xs = self._stream.denormalize(reading)
        return parsed.shaped(xs, names if names != reading.names else None)

    def observe_block(
        self,
        rows: Any,
        *,
        features: Sequence[str] | None = None,
        timestamps: Iterable[Any] | None = None,
        first_seq: int | None = None,
    ) -> NormalizedBlock:
        """Observe many readings in order and atomically, bit-identically to observing them one by one.

        `rows` is a 2-D array, a data frame (pandas', polars', Arrow's), a list of lists, dicts or Series, or one
        Series, a feature over time. A column or an index of datetimes holds the times of a frame's rows.
        `features` names the columns, `timestamps` has one a row, `first_seq` numbers the rows. An array on a CUDA
        device (CuPy's, PyTorch's, Numba's: float64 or float32 in C order) is worked on there, and so is the answer,
        which speaks the CUDA array interface too; that needs the extra `gpu`, and agrees to 12 digits instead of to
        the bit. Where features differ in their treatment it passes through host memory.

        Raises:
            InvalidReading, StaleSequence: the block is rejected; the state is unchanged, also after a device error.

        """
        many = inputs.parse_table(rows, features)
        if many.times is not None and timestamps is not None:
            raise InvalidReading.at(
                "/timestamps", "are given, and the frame has a column of times: leave out one of them"
            )
        times = many.times if timestamps is None else _times(timestamps)
        draft = self._stream.draft()
        on_host = is_on_device(many.values) and draft.plan.mixed  # groups of features are sorted out here
        given: Any = many.values
        given = given.copy_to_host() if on_host else given
        whole = block.Block(many.names, given, times, first_seq)
        answer = block.observe_block(draft, whole, self._clock(), UNLIMITED)
        if not answer.replayed:
            draft.forgive_missing(many.names, many.absent)
            self._stream = draft
        ys = on_device().cuda.to_device(answer.values) if on_host else answer.values
        values, set_back = many.shaped(ys, answer.names), answer.clock_set_back
        names = answer.names or many.names
        return NormalizedBlock(
            values, names, answer.count, answer.ready, answer.gap, answer.replayed, clock_set_back=set_back
        )

    def normalize_block(self, rows: Any, *, features: Sequence[str] | None = None) -> NormalizedBlock:
        """Normalize many readings by the current statistics without learning.

        Raises:
            InvalidReading: the rows are invalid, or lie on a CUDA device.

        """
        many = inputs.parse_table(rows, features)
        if is_on_device(many.values):
            raise InvalidReading.at("/values", "lies on a CUDA device; only observe_block takes that")
        answer = block.normalize_block(self._stream, block.Block(many.names, many.values), self._clock(), UNLIMITED)
        names = answer.names or many.names
        return NormalizedBlock(many.shaped(answer.values, answer.names), names, answer.count, answer.ready)

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as versioned plain JSON data."""
        return snapshot.export(self._stream)

    def merge(self, other: Normalizer | Mapping[str, Any]) -> None:
        """Merge another normalizer or a snapshot, as if its readings had been observed here, too.

        Raises:
            CannotMerge: its method or parameters differ, or the method cannot merge.

        """
        data = other.snapshot() if isinstance(other, Normalizer) else dict(other)
        draft = self._stream.draft()
        lifecycle.merge(draft, snapshot.restore_stream(data, UNLIMITED), self._clock(), UNLIMITED)
        self._stream = draft

    def reset(self) -> None:
        """Discard the statistics; the configuration is kept."""
        draft = self._stream.draft()
        lifecycle.reset(draft, self._clock())
        self._stream = draft

    def _reading(self, parsed: inputs.SingleInput, timestamp: Any = None, seq: int | None = None) -> Reading:
        instant = None if timestamp is None else _seconds(timestamp, "/timestamp")
        return parse_reading(parsed.values, UNLIMITED, timestamp=instant, seq=seq)

    def _spreads(self, reading: Reading, answer: Answer, parsed: inputs.SingleInput) -> tuple[Any, Any]:
        means, stds = zip(*map(self._stream.mean_std, answer.named(reading)), strict=True)
        return parsed.shaped(means, answer.names), parsed.shaped(stds, answer.names)


def _seconds(moment: Any, pointer: str) -> float:
    try:
        return seconds(moment)
    except ValueError as error:
        raise InvalidReading.at(pointer, str(error)) from None


def _times(timestamps: Iterable[Any]) -> Array:
    return np.array([_seconds(moment, f"/timestamps/{row}") for row, moment in enumerate(timestamps)])


def _restored(kind: type[Normalizer], data: dict[str, Any], clock: Callable[[], float]) -> Normalizer:
    return kind.restore(data, clock=clock)
