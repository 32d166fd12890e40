"""The examples of the OpenAPI document; the engine computes the answers, so they match those of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from streamnorm import errors
from streamnorm.advice import Advice, to_toml
from streamnorm.api import schemas
from streamnorm.api.codecs import serialize
from streamnorm.api.http.body import json
from streamnorm.api.http.problems import HTTPProblem, to_problem
from streamnorm.api.http.responses import dumps
from streamnorm.engine.blocks.block import Block, observe_block
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams.snapshot import Snapshot, export
from streamnorm.engine.streams.stream import Stream
from streamnorm.formats.instants import seconds

if TYPE_CHECKING:
    from pydantic import BaseModel

ID = "boiler-7"
TIME = "2026-11-22T09:00:00Z"
ROWS = [[21.4, 0], [21.9, 1], [22.0, None]]

ERRORS: tuple[errors.StreamnormError | HTTPProblem, ...] = (
    HTTPProblem("malformed-json", "the body is not JSON: unexpected end of input: line 1, column 18"),
    HTTPProblem("malformed-gzip", "the body is not gzip: incorrect header check"),
    HTTPProblem("body-too-large", "the body is larger than 1048576 bytes"),
    HTTPProblem("unsupported-media-type", "the body is text/plain; this call takes application/json"),
    HTTPProblem("not-acceptable", "the answer is given as application/json, not as text/html"),
    HTTPProblem.of("invalid-request", [errors.Fault("/query/learn", "must be a valid boolean, not 'maybe'")]),
    errors.InvalidReading.at("/values/temp", "must be a number, null or an array of numbers, not 'warm'"),
    errors.InvalidConfiguration.at("/horizon", "must be greater than 1, not 0"),
    errors.InvalidSnapshot.at("/version", "must be 1, not 2"),
    errors.CannotInvert.at("/values/humidity", "unknown feature"),
    errors.LimitExceeded("max_features", "a stream would have 5000 features, the limit (max_features) is 4096"),
    errors.TooManyStreams(10_000_001, 10_000_000),
    errors.StreamNotFound(ID),
    errors.MappingNotFound("there is no mapping 'zigbe'; did you mean zigbee2mqtt?"),
    errors.StaleSequence(16, 17),
    errors.CannotMerge("a snapshot of method 'cumulative' with its parameters does not merge into this stream's"),
    errors.Unauthorized("a key is needed: Authorization: Bearer …"),
    errors.Forbidden(f"the key 'gauge' may not admin, or not stream {ID!r}"),
    errors.TooManyRequests("256 requests of this caller are in progress, the limit (max_requests_per_client)"),
    errors.Overloaded("1000 requests are in progress, the limit (max_requests)"),
    HTTPProblem("request-timeout", "the body did not arrive in time (body_timeout)"),
    errors.BridgeUnavailable("mqtt: mqtt://broker:1883 is not connected: Connection refused"),
    errors.NotReady("compiling: until the kernel of online is ready, readings are normalized slowly"),
    errors.StoreUnavailable("the disk of the data folder is full (0.0 MiB free)"),
)
ADVICE = Advice("wind", "it jumps between the ends of 0 to 360: an angle, which has no ends", {"transform": "circular"})
REFUSED = {
    "source": "mqtt",
    "filter": "zigbee2mqtt/+",
    "reason": "invalid-reading",
    "count": 12,
    "examples": [
        {
            "time": TIME,
            "detail": "zigbee2mqtt/door: mapping 'zigbee2mqtt': there is no number",
            "payload": '{"contact": "open"}',
        }
    ],
}
#: an example of every type of problem, by its slug
PROBLEMS: dict[str, dict[str, Any]] = {kind.slug: body for kind, body in map(to_problem, ERRORS)}


def lines(items: list[Any]) -> str:
    """Return examples as NDJSON."""
    return "".join(f"{dumps(item).decode()}\n" for item in items)


def _source(by: str, features: str, **parameters: Any) -> dict[str, Any]:
    """Return an example of what speaks of a stream."""
    rule = {"line": 3, "streams": "boiler-*"} if by == "rule" else {"line": None, "streams": "*"}
    matched = ["temp", "door"] if features == "*" else ["door"]
    return {"by": by, **rule, "features": features, "matched": matched, "parameters": parameters}


def worked_example() -> dict[type[BaseModel], Any]:
    """Return an example of every body and answer."""
    limits, now = Limits(), seconds(TIME)
    stream = Stream(plan(configuration({}, {})))
    sent = {"values": {"temp": 21.4, "door": 0}, "timestamp": TIME, "seq": 17}
    reading = parse_reading(sent["values"], limits, timestamp=now, seq=17)
    answer = serialize.reading_to_json(ID, reading, stream.observe(reading, now, limits))
    block = Block(("temp", "door"), np.array(ROWS, dtype=np.float64), None, 18)
    table = serialize.of_block(ID, block.names, observe_block(stream, block, now, limits), block.last_seq)
    info = serialize.of_stream(ID, stream)
    worked: dict[type[BaseModel], Any] = {
        schemas.ReadingBody: sent,
        schemas.StreamReadingBody: {"stream": ID, **sent},
        schemas.ReadingsBody: {"readings": [{"stream": ID, **sent}, {"stream": "line-3", "values": [0.27]}]},
        schemas.BlockBody: {"features": ["temp", "door"], "values": ROWS, "first_seq": 18},
        schemas.ValuesBody: {"values": {"temp": 1.5}},
        schemas.ReadingAnswer: answer,
        schemas.ReadingsAnswer: {
            "readings": [answer, {"stream": "line-3", "count": 1, "ready": False, "values": [0.0]}]
        },
        schemas.BlockAnswerBody: table,
        schemas.ValuesAnswer: {"stream": ID, "values": {"temp": 22.1}},
        schemas.StreamInfo: info,
        schemas.StreamProfile: serialize.of_profile(ID, stream, now),
        schemas.StreamAdvice: {"stream": ID, "advice": [ADVICE._asdict()], "toml": to_toml(ID, [ADVICE])},
        schemas.StreamRules: {
            "stream": ID,
            "file": "streamnorm.toml",
            "sources": [_source("default", "*", method="online"), _source("rule", "door*", horizon=20000)],
            "features": {
                "temp": {"method": {"value": "online", "source": 0}},
                "door": {"method": {"value": "online", "source": 0}, "horizon": {"value": 20000.0, "source": 1}},
            },
            "mappings": [{"name": "zigbee2mqtt", "line": 12, "topic": "zigbee2mqtt/boiler-7"}],
        },
        schemas.RefusalList: {"refusals": [REFUSED]},
        schemas.ConfiguredStream: info | {"restarted": False},
        schemas.StreamPage: {"streams": [info], "next": None},
        schemas.Health: {"status": "ok"},
        schemas.Readiness: {"status": "ok", "bridges": {"mqtt": "connected to mqtt://broker:1883"}},
        Snapshot: export(stream),
        schemas.ReloadedConfig: {"rules": 4, "mappings": 1, "streams": 12},
        **{model: {"method": name, "warmup": 16} for name, model in schemas.STREAM_CONFIGURATIONS.items()},
    }
    return {model: json(dumps(example)) for model, example in worked.items()}
