"""What the service answers, as frozen dataclasses; members that this version does not know are left out."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from streamnorm_client._errors import UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

# Slots save memory where a caller keeps many answers; dataclasses know them from Python 3.10 on.
SLOTS: dict[str, bool] = {"slots": True} if sys.version_info >= (3, 10) else {}

AnswerT = TypeVar("AnswerT", bound="Answer")


@dataclass(frozen=True, **SLOTS)
class Answer:
    """What every answer can: be made from its JSON."""

    @classmethod
    def from_json(cls: type[AnswerT], data: Mapping[str, Any]) -> AnswerT:
        """Read the members that this version knows; one that is missing makes it an UnexpectedAnswer."""
        if not isinstance(data.get("stream", ""), str) or not isinstance(data.get("count", 0), int):
            raise UnexpectedAnswer(f"this is no {cls.__name__}: {data!r:.200}")
        try:
            return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})
        except TypeError as error:
            raise UnexpectedAnswer(f"this is no {cls.__name__}: {data!r:.200}") from error


@dataclass(frozen=True, **SLOTS)
class Normalized(Answer):
    """A normalized reading.

    `values`, and on request `mean` and `std`, have the shape that was sent: a dict, or a list; None is a missing value.
    `ready` is False during the warm-up. `gap` counts the readings that were numbered before this one and never came.
    `replayed`: the reading had been applied by an earlier attempt, and this is its first answer. `recomputed`: it had
    been applied too, but its first answer is lost, and these values come from statistics that already know the reading.
    """

    stream: str
    count: int
    ready: bool
    values: Any
    seq: int | None = None
    mean: Any = None
    std: Any = None
    gap: int = 0
    replayed: bool = False
    recomputed: bool = False


@dataclass(frozen=True, **SLOTS)
class Denormalized(Answer):
    """Values in the sensor's own units again, in the shape that was sent."""

    stream: str
    values: Any


@dataclass(frozen=True, **SLOTS)
class Block(Answer):
    """A normalized block: `values` is of the type that was sent (lists, dicts, array or frame), a row a reading.

    The other members are as in `Normalized`, and tell the state after the last row; `gap` is of all rows together.
    """

    stream: str
    count: int
    ready: bool
    features: list[str]
    values: Any
    last_seq: int | None = None
    gap: int = 0
    replayed: bool = False
    recomputed: bool = False


@dataclass(frozen=True, **SLOTS)
class StreamInfo(Answer):
    """A stream's configuration and counters; `created` and `updated` are RFC 3339."""

    stream: str
    count: int
    last_seq: int | None
    features: list[str]
    config: dict[str, Any]
    created: str
    updated: str


@dataclass(frozen=True, **SLOTS)
class FeatureProfile(Answer):
    """What the service knows of one feature.

    `kind` is warming, constant, stuck, two-level, rarely-active, drifting or continuous. `mean`, `std`, `min`, `max`
    and `last` are in the sensor's unit; `weight` is the effective number of readings within the horizon. None where
    there is nothing to tell.
    """

    count: int
    missing: int
    mean: float | None
    std: float | None
    weight: float
    min: float | None
    max: float | None
    last: float | None
    skew: float | None
    kurtosis: float | None
    kind: str


@dataclass(frozen=True, **SLOTS)
class Profile(Answer):
    """What the service knows of each feature of a stream."""

    stream: str
    features: dict[str, FeatureProfile]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Profile:
        """Build the profile of every feature."""
        known = {name: FeatureProfile.from_json(feature) for name, feature in data["features"].items()}
        return cls(data["stream"], known)


@dataclass(frozen=True, **SLOTS)
class Configured(StreamInfo):
    """The stream after a change of its configuration; `restarted`: its statistics began anew, for this `reason`."""

    restarted: bool = False
    reason: str | None = None


@dataclass(frozen=True, **SLOTS)
class Page(Answer):
    """One page of the list of streams; `next` is where the following one starts, None on the last."""

    streams: list[StreamInfo]
    next: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Page:
        """Build the page and its streams."""
        return cls([StreamInfo.from_json(info) for info in data["streams"]], data.get("next"))


@dataclass(frozen=True, **SLOTS)
class Health(Answer):
    """The service is alive; `details` is all that it says of itself."""

    status: str = "ok"
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Health:
        """Keep the whole answer beside its status."""
        return cls(str(data.get("status", "ok")), dict(data))
