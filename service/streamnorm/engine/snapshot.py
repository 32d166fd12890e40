"""A stream's whole state as versioned plain JSON data, and back; to the same bits."""

from __future__ import annotations

import math
from array import array
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from streamnorm.engine.config import configuration
from streamnorm.engine.limits import LARGEST_DEPTH, LARGEST_NAME, LARGEST_SEQ, LARGEST_VALUE, Limits
from streamnorm.engine.plan import plan as plan_of
from streamnorm.engine.reading import EARLIEST, LATEST
from streamnorm.engine.state_layout import CREATED, UPDATED
from streamnorm.engine.stream import NO_SEQ, Stream
from streamnorm.engine.validation import to_faults
from streamnorm.errors import InvalidConfiguration, InvalidSnapshot
from streamnorm.kernels import base_statistics

VERSION = 1

#: deviations span twice the largest value, and rounding takes a little more
_LARGEST = 4.0 * LARGEST_VALUE

Whole = Annotated[int, Field(ge=0, le=LARGEST_SEQ)]
Time = Annotated[float, Field(ge=EARLIEST, le=LATEST, description="seconds since 1970")]
Value = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
Square = Annotated[float, Field(ge=0, le=_LARGEST**2)]
Own = Annotated[float, Field(ge=-(_LARGEST**2), le=_LARGEST**2)]
Number = Annotated[float, Field(ge=0, le=LARGEST_SEQ)]


class Feature(BaseModel):
    """One feature's state: the base block by name, then the method's own block and the time of its last reading."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

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
    time: Time | None = None
    own: list[Own] = Field([], description="the method's own statistics")

    @model_validator(mode="after")
    def _weigh_what_was_counted(self) -> Self:
        if bool(self.count) != bool(self.weight):
            message = f"count {self.count:g} and weight {self.weight:g} contradict each other"
            raise ValueError(message)
        return self


class Snapshot(BaseModel):
    """A stream's whole state."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    version: Literal[1]
    config: dict[str, Any]
    count: Whole
    last_seq: Whole | None = None
    created: Time
    updated: Time
    features: list[Feature]


def export(stream: Stream) -> dict[str, Any]:
    """Return a stream's whole state as plain JSON data."""
    plan, state, where = stream.plan, stream.state, stream.layout
    features = []
    for name, shape, start, end in zip(where.names, where.shapes, where.starts, where.ends, strict=True):
        block = state[start:end].tolist()
        feature: dict[str, Any] = {
            "name": name,
            "shape": list(shape),
            **dict(zip(base_statistics.FIELDS, block, strict=False)),
        }
        own = block[base_statistics.SIZE : -1] if plan.timed else block[base_statistics.SIZE :]
        if plan.timed:
            feature["time"] = block[-1]
        features.append(feature | {"own": own} if own else feature)
    return {
        "version": VERSION,
        "config": plan.to_json(),
        "count": stream.count,
        "last_seq": stream.last_seq,
        "created": state[CREATED],
        "updated": state[UPDATED],
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
        plan = plan_of(configuration(snapshot.config, {}))
    except ValidationError as error:
        raise InvalidSnapshot.of(to_faults(error.errors(include_url=False))) from None
    except InvalidConfiguration as error:
        raise InvalidSnapshot.of(error.within("/config").faults) from None
    stream = Stream(plan)
    _fit(stream, snapshot.features, limits)
    seq = NO_SEQ if snapshot.last_seq is None else float(snapshot.last_seq)
    stream.state = array("d", [float(snapshot.count), seq, 0.0, snapshot.created, snapshot.updated])
    for place, feature in enumerate(snapshot.features):
        block = [getattr(feature, field) for field in base_statistics.FIELDS] + feature.own
        if plan.timed:
            block.append(feature.time or 0.0)
        if len(block) != plan.stride:
            want = plan.stride - base_statistics.SIZE - plan.timed
            raise InvalidSnapshot.at(f"/features/{place}/own", f"has {len(feature.own)} numbers, not {want}")
        sound = plan.kernel.method.sound
        if sound is not None and not sound(plan.p, feature.own):
            raise InvalidSnapshot.at(f"/features/{place}/own", f"is nothing that {plan.config.method!r} could keep")
        stream.state.extend(block)
    return stream


def _fit(stream: Stream, features: list[Feature], limits: Limits) -> None:
    names = tuple(feature.name for feature in features)
    if len(set(names)) != len(names):
        raise InvalidSnapshot.at("/features", "names a feature twice")
    shapes = [tuple(feature.shape) for feature in features]
    for place, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        if not name.isprintable():
            raise InvalidSnapshot.at(f"/features/{place}/name", "must be printable characters")
        if not all(shape) or math.prod(shape) > limits.max_elements:
            raise InvalidSnapshot.at(f"/features/{place}/shape", f"{list(shape)} is no shape of a channel")
    stream.ensure_features(names, shapes, [False] * len(names), limits)
