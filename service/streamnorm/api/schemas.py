"""Models of request and response bodies, for validation and for the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model

from streamnorm.engine.configuration.config import CONFIGURATIONS, Configuration
from streamnorm.engine.limits import LARGEST_NAME, LARGEST_SEQ
from streamnorm.engine.names import checked_stream_id
from streamnorm.engine.streams.feature_profile import FeatureProfile
from streamnorm.formats.instants import seconds

NUMBER = {"type": ["number", "null"]}
#: true and false are 1 and 0
GIVEN = {"type": ["number", "boolean", "null"]}
VALUE: dict[str, Any] = {
    "anyOf": [
        GIVEN,
        {"type": "array", "items": {}, "minItems": 1, "description": "a channel: nested arrays of numbers"},
    ]
}
VALUES: dict[str, Any] = {
    "anyOf": [
        {"type": "object", "additionalProperties": VALUE, "minProperties": 1},
        {"type": "array", "items": VALUE, "minItems": 1},
    ],
    "description": "a number, null or (nested) array for each feature; as an array, the features are 0, 1, …",
    "examples": [{"temp": 21.4, "door": 0}],
}


Values = Annotated[Any, WithJsonSchema(VALUES)]
Seq = Annotated[int, Field(ge=0, le=LARGEST_SEQ, strict=True, description="makes retries safe", examples=[17])]
Timestamp = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}],
            "description": "RFC 3339 with its offset, or epoch seconds",
            "examples": ["2026-11-22T09:00:00Z"],
        }
    ),
]


CLOCK_AHEAD = "seconds by which the timestamp was ahead of its arrival, which counts as its time then"
CLOCK_SET_BACK = "seconds by which the device's clock was found set back: time goes on by its new timestamps"


#: the configurations of a stream, whose features may differ, by method
STREAM_CONFIGURATIONS: dict[str, type[Configuration]] = {
    name: create_model(
        model.__name__,
        __base__=model,
        __doc__=model.__doc__,
        __module__=__name__,
        features=(
            dict[str, dict[str, Any]],
            Field(
                {},
                description="parameters of some features: by a glob of their names, any of these",
                examples=[{"door*": {"horizon": 20000}}],
            ),
        ),
    )
    for name, model in CONFIGURATIONS.items()
}


class Body(BaseModel):
    """A request body without unknown members; built at once, since threads validate bodies."""

    model_config = ConfigDict(extra="forbid", defer_build=False)


class Answer(BaseModel):
    """An answer, or a part of one; built for the OpenAPI document alone."""

    model_config = ConfigDict(defer_build=True)


class ReadingBody(Body):
    """One sample."""

    values: Values
    timestamp: Timestamp | None = None
    seq: Seq | None = None


class StreamReadingBody(ReadingBody):
    """One sample of a named stream."""

    stream: Annotated[str, AfterValidator(checked_stream_id)] = Field(
        min_length=1, max_length=LARGEST_NAME, strict=True, examples=["boiler-7"]
    )


class ReadingsBody(Body):
    """Readings of many streams."""

    readings: list[StreamReadingBody] = Field(min_length=1)


class BlockBody(Body):
    """Readings of one stream as a table."""

    features: list[Annotated[str, Field(strict=True)]] | None = Field(
        None, description="names of the columns; 0, 1, … if absent", examples=[["temp", "door"]]
    )
    values: Annotated[
        Any,
        WithJsonSchema(
            {
                "type": "array",
                "minItems": 1,
                "items": {"type": "array", "items": GIVEN, "minItems": 1},
                "examples": [[[21.4, 0], [21.5, None]]],
            }
        ),
    ]
    timestamps: list[Timestamp] | None = Field(None, description="one a row")
    first_seq: Seq | None = Field(None, description="numbers the rows, from the first one on")


class ValuesBody(Body):
    """Normalized values to convert back."""

    values: Values


class ReadingAnswer(Answer):
    """The reading at zero mean and unit variance."""

    stream: str = Field(examples=["boiler-7"])
    seq: int | None = Field(None, description="the reading's number, if it had one", examples=[17])
    count: int = Field(description="readings observed so far", examples=[1234])
    ready: bool = Field(description="every feature of the reading has had its warmup")
    values: Values
    mean: Values | None = Field(None, description="with ?stats=true: of each feature, after the reading")
    std: Values | None = Field(None, description="with ?stats=true: of each feature, after the reading")
    gap: int | None = Field(None, description="how many numbers before this one never came")
    replayed: bool | None = Field(None, description="true: applied before, and answered as then")
    clock_ahead: float | None = Field(None, description=CLOCK_AHEAD)
    clock_set_back: float | None = Field(None, description=CLOCK_SET_BACK)


class BlockAnswerBody(Answer):
    """The block at zero mean and unit variance."""

    stream: str
    count: int
    ready: bool
    features: list[str]
    values: list[list[float | None]]
    last_seq: int | None = None
    gap: int | None = None
    replayed: bool | None = None
    clock_ahead: float | None = Field(None, description=f"{CLOCK_AHEAD}; of the row of the most")
    clock_set_back: float | None = Field(None, description=CLOCK_SET_BACK)


class ReadingsAnswer(Answer):
    """The answers to readings of many streams, in request order."""

    readings: list[ReadingAnswer]


class ValuesAnswer(Answer):
    """Values in the sensor's own units."""

    stream: str
    values: Values


class StreamInfo(Answer):
    """A stream's configuration and counters."""

    stream: str = Field(examples=["boiler-7"])
    count: int = Field(examples=[1234])
    last_seq: int | None = Field(examples=[17])
    features: list[str] = Field(examples=[["temp", "door"]])
    config: dict[str, Any] = Field(examples=[{"method": "online", "horizon": 1000.0, "warmup": 32}])
    created: datetime
    updated: datetime


class StreamProfile(Answer):
    """What is known of each feature of a stream, and of its device's clock."""

    stream: str
    clock_ahead: float = Field(description="seconds by which the last reading's timestamp was ahead of its arrival")
    clock_set_back: float = Field(description="seconds that the device's clock lags behind the stream's, once set back")
    features: dict[str, FeatureProfile]


class FeatureAdvice(Answer):
    """One piece of advice."""

    feature: str = Field(description="empty: of the whole stream", examples=["wind"])
    reason: str = Field(examples=["it jumps between the ends of 0 to 360: an angle, which has no ends"])
    rule: dict[str, Any] = Field(
        description="parameters for the feature; empty where none helps",
        examples=[{"transform": "circular", "period": 360}],
    )


class StreamAdvice(Answer):
    """What somebody who knows sensors would do about a stream's features."""

    stream: str
    advice: list[FeatureAdvice]
    toml: str = Field(description="the same as rules for streamnorm.toml, with the reasons as comments")


class RuleSource(Answer):
    """Something that speaks of a stream: the service's defaults, a rule, or what was set for the stream itself."""

    by: Literal["default", "rule", "stream"]
    line: int | None = Field(description="of the rule, in the file", examples=[12])
    streams: str = Field(description="glob of the rule", examples=["boiler-*"])
    features: str = Field(description="glob of the features that it speaks of", examples=["door*"])
    matched: list[str] = Field(description="features of the stream that it speaks of", examples=[["door"]])
    parameters: dict[str, Any] = Field(examples=[{"horizon": 20000}])


class EffectiveParameter(Answer):
    """A parameter that holds for a feature, and which of the sources says so."""

    value: Any = Field(examples=[20000])
    source: int | None = Field(description="its place in `sources`; null where the method does so by itself")


class MatchedMapping(Answer):
    """A mapping that made readings of a stream since the service began."""

    name: str = Field(examples=["zigbee2mqtt"])
    line: int | None = Field(description="in the file; null for a preset named on the way in")
    topic: str = Field(description="of the last message; empty where it had none", examples=["zigbee2mqtt/door"])


class StreamRules(Answer):
    """What rules and mappings matched a stream, and what holds for its features."""

    stream: str
    file: str | None = Field(description="name of the file of rules; null where the service has none")
    sources: list[RuleSource] = Field(description="all that speaks of the stream; later ones replace earlier ones")
    features: dict[str, dict[str, EffectiveParameter]]
    mappings: list[MatchedMapping]


class RefusedExample(Answer):
    """One of the last refusals for a reason."""

    time: datetime
    detail: str = Field(examples=["zigbee2mqtt/door: /values/temp must be a number"])
    payload: str = Field(description="the beginning of what was sent; empty where it is not known, or is no text")


class Refusal(Answer):
    """What was refused for one reason since the service began."""

    source: str = Field(description="http, or the bridge: mqtt, forward", examples=["mqtt"])
    filter: str = Field(description="topic filter of MQTT; else empty", examples=["zigbee2mqtt/+"])
    reason: str = Field(examples=["invalid-reading"])
    count: int = Field(examples=[12])
    examples: list[RefusedExample] = Field(description="the last ones, the newest first")


class RefusalList(Answer):
    """What was refused, the most frequent reason first."""

    refusals: list[Refusal]


class ConfiguredStream(StreamInfo):
    """A stream after it was configured."""

    restarted: bool = Field(description="whether the statistics were reset")
    reason: str | None = Field(None, description="why they were reset")


class ListedStream(StreamInfo):
    """A stream of the list."""

    kinds: dict[str, int] | None = Field(
        None, description="with ?kinds=true: features by kind of sensor", examples=[{"continuous": 1, "two-level": 1}]
    )


class ReloadedConfig(Answer):
    """What the file of rules says, now that it was read anew."""

    rules: int = Field(description="how many there are")
    mappings: int = Field(description="how many there are")
    streams: int = Field(description="streams in memory that were configured anew; others are, with their next use")


class StreamPage(Answer):
    """One page of the list of streams."""

    streams: list[ListedStream]
    next: str | None = Field(description="pass it as `after` for the next page; null on the last one")


class FaultBody(Answer):
    """One fault of the request, located by a JSON pointer."""

    pointer: str = Field(examples=["/values/temp"])
    detail: str


class ProblemBody(Answer):
    """Problem details (RFC 9457)."""

    type: str = Field(examples=["/problems/invalid-reading"])
    title: str
    status: int
    detail: str
    errors: list[FaultBody] | None = None
    last_seq: int | None = Field(None, description="of stale-sequence: the last number applied")
    limit: str | None = Field(None, description="of limit-exceeded: the setting that says so")


class Health(Answer):
    """Alive."""

    status: Literal["ok"]


class Readiness(Answer):
    """Ready."""

    status: Literal["ok"]
    bridges: dict[str, str] | None = Field(None, description="state of each bridge, in words: mqtt, forward, relay")
