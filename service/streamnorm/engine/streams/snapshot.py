"""A stream's whole state as versioned plain JSON data, and back; to the same bits."""

from __future__ import annotations

import math
from array import array
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from streamnorm.engine.configuration.plan import Plan, of_snapshot
from streamnorm.engine.configuration.preparation import INVALID, LAST, MEMORY_SIZE, SEEN
from streamnorm.engine.configuration.preparation import TIME as LAST_TIME
from streamnorm.engine.limits import LARGEST_DEPTH, LARGEST_NAME, LARGEST_SEQ, LARGEST_VALUE, Limits
from streamnorm.engine.state.layout import CREATED, HEADER_SIZE, LATE, LATE_TIME, OFFSET, SKEW, TIME, UPDATED
from streamnorm.engine.state.mixed_layout import MixedLayout, lasts
from streamnorm.engine.streams.clock import EARLIEST, LATEST, begin_clock
from streamnorm.engine.streams.stream import EMPTY, NO_SEQ, Stream
from streamnorm.engine.validation import to_faults
from streamnorm.errors import InvalidConfiguration, InvalidSnapshot
from streamnorm.kernels import base_statistics

VERSION = 1

#: deviations span twice the largest value, and rounding takes a little more
_LARGEST = 4.0 * LARGEST_VALUE

# built when first used: few commands restore a stream
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

Whole = Annotated[int, Field(ge=0, le=LARGEST_SEQ)]
Time = Annotated[float, Field(ge=EARLIEST, le=LATEST, description="seconds since 1970")]
Span = Annotated[float, Field(ge=-4 * LATEST, le=4 * LATEST)]
Shifted = Annotated[
    float, Field(ge=-4 * LATEST, le=4 * LATEST, description="seconds since 1970, of the stream's clock")
]
Share = Annotated[float, Field(ge=0, le=1)]
Value = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
Square = Annotated[float, Field(ge=0, le=_LARGEST**2)]
Own = Annotated[float, Field(ge=-(_LARGEST**2), le=_LARGEST**2)]
Number = Annotated[float, Field(ge=0, le=LARGEST_SEQ)]


class Feature(BaseModel):
    """One feature's state: the base block by name, then the method's own block and the time of its last reading."""

    model_config = _STRICT

    name: str = Field(min_length=1, max_length=LARGEST_NAME)
    shape: list[Whole] = Field(max_length=LARGEST_DEPTH)
    weight: Number
    mean: Value
    variance: Square
    third_moment: float = Field(ge=-(_LARGEST**3), le=_LARGEST**3)
    fourth_moment: float = Field(ge=0, le=_LARGEST**4)
    successive: Square
    count: Number
    missing: Number
    last: Value
    min: Value
    max: Value
    run: Number
    still: Share | None = Field(None, description="share of readings that equal the one before")
    falls: Share | None = Field(None, description="share of readings that are below the one before")
    level: Value | None = Field(None, description="the mean at the end of the last horizon")
    moved: Square | None = Field(None, description="mean square of how far it moved from one horizon to the next")
    recent_min: Value | None = None
    recent_max: Value | None = None
    age: Share | None = Field(None, description="part of a horizon since then")
    time: Shifted | None = None
    own: list[Own] = Field([], description="the method's own statistics")
    source: str | None = Field(
        None, min_length=1, max_length=LARGEST_NAME, description="the feature as readings name it, if another"
    )
    invalid: Number = Field(0.0, description="values that were out of bounds, or had no logarithm")
    counter: Value | None = Field(None, description="of a rate: the counter's last value")
    counter_time: Shifted = Field(0.0, description="and its time")

    def base(self) -> list[float]:
        """Return the base block; what snapshots of before did not have begins as it does for them."""
        return base_statistics.completed([getattr(self, field) for field in base_statistics.FIELDS])

    @model_validator(mode="after")
    def _weigh_what_was_counted(self) -> Self:
        if bool(self.count) != bool(self.weight):
            message = f"count {self.count:g} and weight {self.weight:g} contradict each other"
            raise ValueError(message)
        return self


class Clock(BaseModel):
    """What is known of the device's clock; see `streamnorm.engine.streams.clock`."""

    model_config = _STRICT

    time: Shifted | None = Field(None, description="the latest reading's, in seconds since 1970")
    offset: Span = Field(0.0, description="added to stamps since the clock was set back, in seconds")
    late: Number = Field(0.0, description="readings in a row that were late")
    late_time: Shifted = Field(0.0, description="the last late one's time")
    skew: Span = Field(0.0, description="of the last reading, seconds ahead; negative: set back")


class Snapshot(BaseModel):
    """A stream's whole state."""

    model_config = _STRICT

    version: Literal[1]
    config: dict[str, Any]
    count: Whole
    last_seq: Whole | None = None
    created: Time
    updated: Time
    clock: Clock | None = None
    features: list[Feature]


def export(stream: Stream) -> dict[str, Any]:
    """Return a stream's whole state as plain JSON data."""
    state, where = stream.state, stream.layout
    prepared = _prepared(stream)
    features = []
    for name, shape, start, end in zip(where.names, where.shapes, where.starts, where.ends, strict=True):
        plan = stream.plan_at(start)
        block = state[start:end].tolist()
        feature: dict[str, Any] = {
            "name": name,
            "shape": list(shape),
            **dict(zip(base_statistics.FIELDS, block, strict=False)),
        }
        own = block[base_statistics.SIZE : -1] if plan.timed else block[base_statistics.SIZE :]
        if plan.timed:
            feature["time"] = block[-1]
        features.append((feature | {"own": own} if own else feature) | prepared.get(name, {}))
    return {
        "version": VERSION,
        "config": stream.plan.to_snapshot(),
        "count": stream.count,
        "last_seq": stream.last_seq,
        "created": state[CREATED],
        "updated": state[UPDATED],
        "clock": {
            "time": state[TIME] if math.isfinite(state[TIME]) else None,
            "offset": state[OFFSET],
            "late": state[LATE],
            "late_time": state[LATE_TIME],
            "skew": state[SKEW],
        },
        "features": features,
    }


def restore_stream(data: object, limits: Limits) -> Stream:
    """Build a stream of a snapshot.

    Raises:
        InvalidSnapshot: another version, or data that do not fit each other, naming every wrong place.

    """
    if not isinstance(data, dict):
        raise InvalidSnapshot.at("", "must be an object")
    if data.get("version") != VERSION:
        raise InvalidSnapshot.at("/version", f"must be {VERSION}, not {data.get('version')!r}")
    try:
        snapshot = Snapshot.model_validate(data)
        plan = of_snapshot(snapshot.config)
    except ValidationError as error:
        raise InvalidSnapshot.of(to_faults(error.errors(include_url=False))) from None
    except InvalidConfiguration as error:
        raise InvalidSnapshot.of(error.within("/config").faults) from None
    stream = Stream(plan)
    _fit(stream, snapshot.features, limits)
    state, where = stream.state, stream.layout
    seq = NO_SEQ if snapshot.last_seq is None else float(snapshot.last_seq)
    head = [float(snapshot.count), seq, 0.0, snapshot.created, snapshot.updated, *EMPTY[TIME:]]
    state[:HEADER_SIZE] = array("d", head)
    for place, feature in enumerate(snapshot.features):
        start, end = where.starts[where.index[feature.name]], where.ends[where.index[feature.name]]
        state[start:end] = array("d", _block(stream.plan_at(start), feature, f"/features/{place}/own"))
        source = where.by_source[feature.source or feature.name] if isinstance(where, MixedLayout) else None
        if source is not None and source.memory >= 0 and where.names[source.places[0]] == feature.name:
            seen, last = feature.counter is not None, feature.counter or 0.0
            memory = [feature.invalid, float(seen), last, feature.counter_time]
            state[source.memory : source.memory + MEMORY_SIZE] = array("d", memory)
    if snapshot.clock is None:
        begin_clock(state, lasts(plan, where, state))
    else:
        given = snapshot.clock
        time = -math.inf if given.time is None else given.time
        state[TIME:HEADER_SIZE] = array("d", [time, given.offset, given.late, given.late_time, given.skew])
    return stream


def _block(plan: Plan, feature: Feature, pointer: str) -> list[float]:
    """Return the state of a feature with this plan; `pointer` names its own numbers in errors."""
    base, method = feature.base(), plan.kernel.method
    own = _own_of_today(plan, base, feature.own)
    block = [*base, *own]
    if plan.timed:
        block.append(feature.time or 0.0)
    if len(block) != plan.stride:
        want = plan.stride - base_statistics.SIZE - plan.timed
        raise InvalidSnapshot.at(pointer, f"has {len(feature.own)} numbers, not {want}")
    # a profile's extremes are those of the last horizons: older readings may lie anywhere that readings may
    if method.sound is not None and not method.sound(plan.p, own, -LARGEST_VALUE, LARGEST_VALUE):
        raise InvalidSnapshot.at(pointer, f"is nothing that {plan.config.method!r} could keep")
    return block


def _prepared(stream: Stream) -> dict[str, dict[str, Any]]:
    """Return what is known of features that are prepared, by the name of the first one that each becomes."""
    where, state = stream.layout, stream.state
    found: dict[str, dict[str, Any]] = {}
    for source in where.by_source.values() if isinstance(where, MixedLayout) else ():
        names = [where.names[place] for place in source.places]
        for name in names if len(names) > 1 else ():
            found[name] = {"source": source.name}
        if source.memory >= 0 and state[source.memory + INVALID]:
            found.setdefault(names[0], {})["invalid"] = state[source.memory + INVALID]
        if source.memory >= 0 and state[source.memory + SEEN]:
            last, time = state[source.memory + LAST], state[source.memory + LAST_TIME]
            found.setdefault(names[0], {}).update(counter=last, counter_time=time)
    return found


def _own_of_today(plan: Plan, base: list[float], own: list[float]) -> list[float]:
    """Return a method's own numbers as it keeps them today, where a snapshot has them as an earlier version did."""
    convert = plan.kernel.method.convert
    converted = convert(plan.p, base, own) if convert is not None else None
    if converted is not None:
        return converted
    grown = plan.kernel.method.grown
    lacks = grown and len(own) == plan.stride - base_statistics.SIZE - plan.timed - grown
    return own + [0.0] * grown if lacks else own


def _fit(stream: Stream, features: list[Feature], limits: Limits) -> None:
    names = [feature.name for feature in features]
    if len(set(names)) != len(names):
        raise InvalidSnapshot.at("/features", "names a feature twice")
    for place, feature in enumerate(features):
        if not all(name.isprintable() for name in (feature.name, feature.source or "")):
            raise InvalidSnapshot.at(f"/features/{place}/name", "must be printable characters")
        if not all(feature.shape) or math.prod(feature.shape) > limits.max_elements:
            raise InvalidSnapshot.at(f"/features/{place}/shape", f"{feature.shape} is no shape of a channel")
    sources = {feature.source or feature.name: tuple(feature.shape) for feature in features}
    stream.ensure_features(tuple(sources), [*sources.values()], [False] * len(sources), limits)
    if set(stream.layout.names) != set(names):
        raise InvalidSnapshot.at("/features", f"must be those of its configuration: {', '.join(stream.layout.names)}")
