"""A stream's configuration: one flat object of common parameters and the method's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from streamnorm.engine.limits import LARGEST_VALUE
from streamnorm.engine.validation import to_faults
from streamnorm.errors import InvalidConfiguration
from streamnorm.kernels import METHODS
from streamnorm.kernels.durations import Duration
from streamnorm.kernels.method import Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

#: About a day of readings a minute: long enough to average noise, short enough to follow a season.
DEFAULT_HORIZON = 1000.0
#: Methods whose horizon may be a time.
TIMED = ("online", "adaptive")
#: A full turn in degrees.
DEFAULT_PERIOD = 360.0
#: Parameters of what is done to values before they are normalized, and of how they are shown.
PREPARATION = ("valid", "missing_codes", "transform", "period", "wrap", "unit")
#: a raw value
Bound = Annotated[float, Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE)]
#: The batch size from which statistics are commonly trusted.
DEFAULT_WARMUP = 32


class Affine(BaseModel):
    """What is done to a feature's normalized values: y ← gamma·y + beta, as in Batch Normalization."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    gamma: float = Field(1.0, ge=-1e9, le=1e9, description="scale")
    beta: float = Field(0.0, ge=-1e9, le=1e9, description="shift")


class Configuration(Parameters):
    """The parameters every method has."""

    method: str = Field(description="how statistics are kept")
    horizon: float | None = Field(
        None,
        gt=1.0,
        le=1e12,
        description=f"how many readings “normal” reaches back; {DEFAULT_HORIZON:g} unless `time_constant` is given",
    )
    time_constant: Duration | None = Field(
        None,
        description="how many seconds “normal” reaches back; instead of `horizon`. Also as text: 90s, 15m, 6h, 1d",
    )
    warmup: int = Field(
        DEFAULT_WARMUP, ge=0, le=1_000_000, description="readings a feature needs before its answers are `ready`"
    )
    clamp: float | None = Field(None, gt=0.0, le=1e9, description="bound on |y|, before the affine map")
    robust: float | None = Field(
        None,
        gt=1.0,  # deviations cut to one standard deviation would shrink it for ever
        le=1e9,
        description="once ready, learn from deviations of at most this many standard deviations, so that one wild "
        "reading cannot spoil the statistics",
    )
    missing: Literal["null", "mean"] = Field(
        "null", description="what a missing value is answered with: null, or the mean (0, or beta where there is one)"
    )
    affine: dict[str, Affine] = Field({}, description="per feature, y ← gamma·y + beta")
    valid: list[Bound] | None = Field(
        None, min_length=2, max_length=2, description="least and greatest value of a working sensor; others are missing"
    )
    missing_codes: list[Bound] = Field([], max_length=64, description="values that mean that there is none")
    transform: Literal["log", "log1p", "rate", "circular"] | None = Field(
        None,
        description="applied before normalizing: log (natural), log1p (of 1 + x), rate (a counter’s increase per "
        "second), circular (sine and cosine of an angle)",
    )
    period: float | None = Field(
        None, gt=0.0, le=1e75, description=f"of the transform circular: a full turn; {DEFAULT_PERIOD:g} if absent"
    )
    wrap: float | None = Field(
        None,
        gt=0.0,
        le=1e75,
        description="of the transform rate: the number of values after which the counter is 0 again",
    )
    unit: str | None = Field(None, min_length=1, max_length=32, description="unit of the values, for display")

    @model_validator(mode="after")
    def _prepare_alike(self) -> Self:
        if self.valid is not None and self.valid[0] > self.valid[1]:
            raise ValueError(f"valid must be [least, greatest], not {self.valid}")
        if self.transform == "circular" and self.method == "streaming":
            message = "circular does not go with the method streaming, whose period counts readings"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _reach_back_once(self) -> Self:
        if self.horizon is not None and self.time_constant is not None:
            message = "horizon and time_constant exclude each other"
            raise ValueError(message)
        if self.time_constant is not None and self.method not in TIMED:
            known = " and ".join(TIMED)
            raise ValueError(f"time_constant belongs to the methods {known}; {self.method} counts readings")
        return self


def _flat(name: str) -> type[Configuration]:
    own = METHODS[name].parameters
    title = "".join(part.capitalize() for part in name.split("-")) + "Configuration"
    bases = (own, Configuration) if own is not Parameters else (Configuration,)
    model = create_model(
        title,
        __base__=bases,
        __doc__=f"Configuration of a stream with the method `{name}`.",
        __module__=__name__,
        method=(cast("Any", Literal)[name], Field(name, description="how statistics are kept")),
    )
    return cast("type[Configuration]", model)


#: method name -> the flat model of its configurations
CONFIGURATIONS: dict[str, type[Configuration]] = {name: _flat(name) for name in METHODS}


def configuration(data: Mapping[str, Any], defaults: Mapping[str, Any]) -> Configuration:
    """Check a flat configuration object, filled up with the service's defaults.

    >>> configuration({"horizon": 50}, {}).method
    'online'
    >>> configuration({"horizon": 0}, {})
    Traceback (most recent call last):
    ...
    streamnorm.errors.InvalidConfiguration: /horizon: must be greater than 1, not 0

    Raises:
        InvalidConfiguration: an unknown method or parameter, or a value out of its limits.

    """
    method = data.get("method", defaults.get("method", "online"))
    model = CONFIGURATIONS.get(method) if isinstance(method, str) else None
    if model is None:
        known = ", ".join(CONFIGURATIONS)
        raise InvalidConfiguration.at("/method", f"unknown method {method!r}; known are {known}")
    filled = {key: value for key, value in defaults.items() if key in model.model_fields} | dict(data)
    if data.get("time_constant") is not None and data.get("horizon") is None:
        filled["horizon"] = None
    elif data.get("horizon") is not None and data.get("time_constant") is None:
        filled["time_constant"] = None
    if filled.get("time_constant") is None and filled.get("horizon") is None:
        filled["horizon"] = DEFAULT_HORIZON
    try:
        return model.model_validate(filled)
    except ValidationError as error:
        raise InvalidConfiguration.of(to_faults(error.errors(include_url=False))) from None


def to_json(config: Configuration) -> dict[str, Any]:
    """Return a configuration as plain JSON data; what is done before normalizing only where something is."""
    data = config.model_dump(mode="json")
    for key in PREPARATION:
        if data[key] is None or data[key] == []:
            del data[key]
    return data


def key_of(config: Configuration) -> str:
    """Return the text by which equal configurations are equal."""
    return json.dumps(to_json(config), sort_keys=True)
