"""The service's answers as frozen dataclasses; unknown members are ignored."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from streamnorm_client._errors import UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

# Slots save memory for callers that keep many answers; dataclasses support them from Python 3.10 on.
SLOTS: dict[str, bool] = {"slots": True} if sys.version_info >= (3, 10) else {}

AnswerT = TypeVar("AnswerT", bound="Answer")


@dataclass(frozen=True, **SLOTS)
class Answer:
    """The base of all answers, built from JSON."""

    @classmethod
    def from_json(cls: type[AnswerT], data: Mapping[str, Any]) -> AnswerT:
        """Build the answer from its known members.

        Raises:
            UnexpectedAnswer: a required member is missing.

        """
        if not isinstance(data.get("stream", ""), str) or not isinstance(data.get("count", 0), int):
            raise UnexpectedAnswer(f"this is not a valid {cls.__name__}: {data!r:.200}")
        try:
            return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})
        except TypeError as error:
            raise UnexpectedAnswer(f"this is not a valid {cls.__name__}: {data!r:.200}") from error


@dataclass(frozen=True, **SLOTS)
class Normalized(Answer):
    """A normalized reading.

    `values`, and on request `mean` and `std`, have the shape of the input: a dict, or a list; None is a missing value.
    `ready` is False during the warm-up. `gap` counts the sequence numbers missing before this one.
    `replayed`: an earlier attempt had applied the reading, and this is its first answer. `recomputed`: it had been
    applied, but its first answer is lost, and these values come from statistics that already include the reading.
    `clock_ahead` is how many seconds the timestamp was ahead of the service's clock, which it then counts as, and
    `clock_set_back` how many the device's clock was set back.
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
    clock_ahead: float = 0.0
    clock_set_back: float = 0.0


@dataclass(frozen=True, **SLOTS)
class Denormalized(Answer):
    """Values converted back to the sensor's units, in the shape of the input."""

    stream: str
    values: Any


@dataclass(frozen=True, **SLOTS)
class Block(Answer):
    """A normalized block: `values` has the type of the input (lists, dicts, array or frame), with a row per reading.

    The other members are as in `Normalized`, and describe the state after the last row; `gap` is the total of all rows,
    and the two `clock_` members, which arrays and frames lack, are of the row with the largest difference.
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
    clock_ahead: float = 0.0
    clock_set_back: float = 0.0


@dataclass(frozen=True, **SLOTS)
class StreamInfo(Answer):
    """A stream's configuration and counters; `created` and `updated` are RFC 3339.

    `kinds`, on request, is the number of features of each kind of sensor.
    """

    stream: str
    count: int
    last_seq: int | None
    features: list[str]
    config: dict[str, Any]
    created: str
    updated: str
    kinds: dict[str, int] | None = None


@dataclass(frozen=True, **SLOTS)
class FeatureProfile(Answer):
    """The statistics of one feature.

    `kind` is warming, constant, stuck, two-level, rarely-active, levels, counter, drifting or continuous. `mean`,
    `std`, `min`, `max` and `last` are in the sensor's unit, or of what its `transform` makes; `weight` is the effective
    number of readings within the horizon. None if it is undefined. `invalid` values are among the `missing` ones.
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
    invalid: int | None = None
    transform: str | None = None
    unit: str | None = None


@dataclass(frozen=True, **SLOTS)
class Profile(Answer):
    """The statistics of each feature of a stream.

    `clock_ahead` is how many seconds the last reading's timestamp was ahead of the service's clock, `clock_set_back`
    how many the device's clock is behind the stream's, since it was set back.
    """

    stream: str
    features: dict[str, FeatureProfile]
    clock_ahead: float = 0.0
    clock_set_back: float = 0.0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Profile:
        """Build the profile of every feature."""
        known = {name: FeatureProfile.from_json(feature) for name, feature in data["features"].items()}
        return cls(data["stream"], known, data.get("clock_ahead", 0.0), data.get("clock_set_back", 0.0))


@dataclass(frozen=True, **SLOTS)
class FeatureAdvice(Answer):
    """A suggestion for a feature, with its reason; `feature` is empty if it concerns the whole stream.

    `rule` has the parameters to set, as `configure(features={feature: rule})` takes them; empty if none would help.
    """

    feature: str
    reason: str
    rule: dict[str, Any]


@dataclass(frozen=True, **SLOTS)
class Advice(Answer):
    """Suggestions for a stream's features; `toml` is the same as rules for the service's `streamnorm.toml`."""

    stream: str
    advice: list[FeatureAdvice]
    toml: str

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Advice:
        """Build the suggestions."""
        return cls(data["stream"], [FeatureAdvice.from_json(item) for item in data["advice"]], data["toml"])


@dataclass(frozen=True, **SLOTS)
class RuleSource(Answer):
    """Parameters and where they come from: `by` is default, rule or stream (set for the stream itself).

    A rule has its `line` in the file. `streams` and `features` are globs, `matched` the stream's features that match.
    """

    by: str
    line: int | None
    streams: str
    features: str
    matched: list[str]
    parameters: dict[str, Any]


@dataclass(frozen=True, **SLOTS)
class EffectiveParameter(Answer):
    """A feature's parameter; `source` is an index into `StreamRules.sources`, None for the method's own default."""

    value: Any
    source: int | None


@dataclass(frozen=True, **SLOTS)
class MatchedMapping(Answer):
    """A mapping that made readings of a stream: its `line` in the file, None for a preset, and the last `topic`."""

    name: str
    line: int | None
    topic: str


@dataclass(frozen=True, **SLOTS)
class StreamRules(Answer):
    """The rules and mappings that matched a stream, and the parameters of its `features`, by name.

    Later `sources` replace earlier ones; `file` is the name of the service's configuration file, None if it has none.
    """

    stream: str
    file: str | None
    sources: list[RuleSource]
    features: dict[str, dict[str, EffectiveParameter]]
    mappings: list[MatchedMapping]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StreamRules:
        """Build the rules, and the parameters of every feature."""
        sources = [RuleSource.from_json(item) for item in data["sources"]]
        features = {
            name: {key: EffectiveParameter.from_json(item) for key, item in parameters.items()}
            for name, parameters in data["features"].items()
        }
        mappings = [MatchedMapping.from_json(item) for item in data["mappings"]]
        return cls(data["stream"], data.get("file"), sources, features, mappings)


@dataclass(frozen=True, **SLOTS)
class RefusedExample(Answer):
    """A refused payload, or its beginning: `time` is RFC 3339; `payload` is empty if unknown or not text."""

    time: str
    detail: str
    payload: str


@dataclass(frozen=True, **SLOTS)
class Refusal(Answer):
    """The number of payloads refused for a reason since the service started, and the last `examples`, newest first.

    `source` is http, or a bridge such as mqtt; `filter` is the MQTT topic filter, else empty.
    """

    source: str
    filter: str
    reason: str
    count: int
    examples: list[RefusedExample]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Refusal:
        """Build the count and its examples."""
        examples = [RefusedExample.from_json(item) for item in data["examples"]]
        return cls(data["source"], data["filter"], data["reason"], data["count"], examples)


@dataclass(frozen=True, **SLOTS)
class ReloadedConfig(Answer):
    """The number of rules and mappings after a reload, and of streams that it reconfigured."""

    rules: int
    mappings: int
    streams: int


@dataclass(frozen=True, **SLOTS)
class Configured(StreamInfo):
    """The stream after a configuration change; `restarted`: its statistics were restarted, for this `reason`."""

    restarted: bool = False
    reason: str | None = None


@dataclass(frozen=True, **SLOTS)
class Page(Answer):
    """One page of the list of streams; `next` is the start of the following page, None on the last."""

    streams: list[StreamInfo]
    next: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Page:
        """Build the page and its streams."""
        return cls([StreamInfo.from_json(info) for info in data["streams"]], data.get("next"))


@dataclass(frozen=True, **SLOTS)
class Health(Answer):
    """The service is alive; `details` is the whole answer."""

    status: str = "ok"
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Health:
        """Keep the whole answer beside its status."""
        return cls(str(data.get("status", "ok")), dict(data))
