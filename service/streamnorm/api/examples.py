"""The examples of the OpenAPI pages; the engine works the answers out, so they are what the service would answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from streamnorm.api import answers, schemas
from streamnorm.api.bodies import dumps, json
from streamnorm.api.problems import kind_of
from streamnorm.engine.block import Block, observe_block
from streamnorm.engine.config import CONFIGURATIONS, configuration
from streamnorm.engine.limits import Limits
from streamnorm.engine.plan import plan
from streamnorm.engine.reading import reading
from streamnorm.engine.snapshot import Snapshot, export
from streamnorm.engine.stream import Stream

if TYPE_CHECKING:
    from pydantic import BaseModel

ID = "boiler-7"
TIME = "2026-11-22T09:00:00Z"
ROWS = [[21.4, 0], [21.9, 1], [22.0, None]]

#: What each type of problem says beside its type, title and status.
PROBLEMS: dict[str, dict[str, Any]] = {
    "malformed-json": {"detail": "the body is not JSON: unexpected end of input: line 1, column 18"},
    "body-too-large": {"detail": "the body is larger than 1048576 bytes"},
    "unsupported-media-type": {"detail": "the body is text/plain; this call takes application/json"},
    "not-acceptable": {"detail": "the answer is given as application/json, not as text/html"},
    "invalid-request": {
        "detail": "/query/learn: Input should be a valid boolean, unable to interpret input",
        "errors": [{"pointer": "/query/learn", "detail": "Input should be a valid boolean, unable to interpret input"}],
    },
    "invalid-reading": {
        "detail": "/values/temp: must be a number, null or an array of numbers, not 'warm'",
        "errors": [{"pointer": "/values/temp", "detail": "must be a number, null or an array of numbers, not 'warm'"}],
    },
    "invalid-configuration": {
        "detail": "/horizon: input should be greater than 1",
        "errors": [{"pointer": "/horizon", "detail": "input should be greater than 1"}],
    },
    "invalid-snapshot": {
        "detail": "/version: must be 1, not 2",
        "errors": [{"pointer": "/version", "detail": "must be 1, not 2"}],
    },
    "cannot-invert": {
        "detail": "/values/humidity: unknown feature",
        "errors": [{"pointer": "/values/humidity", "detail": "unknown feature"}],
    },
    "limit-exceeded": {
        "detail": "the stream would have 5000 features, the limit (max_features) is 4096",
        "limit": "max_features",
    },
    "stream-not-found": {"detail": "there is no stream 'boiler-7'"},
    "stale-sequence": {"detail": "seq 16 is not after the last applied seq 17", "last_seq": 17},
    "cannot-merge": {
        "detail": "a snapshot of method 'cumulative' with its parameters does not merge into this stream's"
    },
    "store-unavailable": {"detail": "the disk of /data is full (0.0 MiB free): /data/streamnorm.db was not written"},
}


def problem(slug: str) -> dict[str, Any]:
    """Give an example of a type of problem."""
    kind = kind_of(slug)
    return {"type": f"/problems/{slug}", "title": kind.title, "status": kind.status} | PROBLEMS[slug]


def lines(items: list[Any]) -> str:
    """Give examples as NDJSON."""
    return "".join(f"{dumps(item).decode()}\n" for item in items)


def worked() -> dict[type[BaseModel], Any]:
    """Give an example of every body and answer."""
    limits, now = Limits(), schemas.seconds(TIME)
    stream = Stream(plan(configuration({}, {})))
    sent = {"values": {"temp": 21.4, "door": 0}, "timestamp": TIME, "seq": 17}
    one = reading(sent["values"], limits, timestamp=now, seq=17)
    answer = answers.of_reading(ID, one, stream.observe(one, now, limits))
    block = Block(("temp", "door"), np.array(ROWS, dtype=np.float64), None, 18)
    table = answers.of_block(ID, block, observe_block(stream, block, now, limits))
    info = answers.of_stream(ID, stream)
    found: dict[type[BaseModel], Any] = {
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
        schemas.ConfiguredStream: info | {"restarted": False},
        schemas.StreamPage: {"streams": [info], "next": None},
        schemas.Health: {"status": "ok"},
        Snapshot: export(stream),
        **{model: {"method": name, "warmup": 16} for name, model in CONFIGURATIONS.items()},
    }
    return {model: json(dumps(example)) for model, example in found.items()}
