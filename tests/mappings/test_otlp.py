"""OTLP's metrics in protobuf are those in JSON."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from streamnorm.engine.limits import Limits
from streamnorm.errors import InvalidReading
from streamnorm.mappings import Message, mapping_of

SAMPLE = json.loads((Path(__file__).parents[1] / "data" / "mappings" / "otlp.json").read_text())[0]["body"]
MAPPING = mapping_of({"preset": "otlp"})


def test_protobuf_says_what_json_says() -> None:
    binary = ParseDict(SAMPLE, ExportMetricsServiceRequest()).SerializeToString()
    found = [MAPPING.readings(Message(body), Limits()) for body in (binary, json.dumps(SAMPLE).encode())]
    assert found[0] == found[1]


POINTS: dict[str, Any] = {
    "a gauge of infinity beside another": (
        "gauge",
        [{"asDouble": "Infinity"}, {"asDouble": 2.5, "attributes": [{"key": "core"}]}],
        {"m": math.nan, "m,core=None": 2.5},
    ),
    "not a number": ("gauge", [{"asDouble": "NaN"}], {"m": math.nan}),
    "a histogram of nothing": ("histogram", [{"sum": 0.0}], {"m.count": 0.0, "m.sum": 0.0}),
    "a histogram without its sum": ("exponentialHistogram", [{"count": "3"}], {"m.count": 3.0}),
    "a summary of nothing": ("summary", [{"attributes": []}], {"m.count": 0.0, "m.sum": 0.0}),
}


@pytest.mark.parametrize(("kind", "points", "expected"), POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("binary", [False, True])
def test_a_point_may_leave_out_what_is_zero_or_unknown(
    kind: str, points: list[Any], expected: dict[str, float], *, binary: bool
) -> None:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}, {"key": "unset"}]}
    metrics = [{"name": "m", kind: {"dataPoints": points}}]
    request = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}
    packed = ParseDict(request, ExportMetricsServiceRequest()).SerializeToString()
    [(stream, reading, _)] = MAPPING.readings(Message(packed if binary else json.dumps(request).encode()), Limits())
    found = dict(zip(reading.names, reading.values, strict=True))
    assert (stream, reading.timestamp, str(found)) == ("shop", None, str(expected))


@pytest.mark.parametrize(
    ("metric", "detail"),
    [
        ({"gauge": {"dataPoints": [{"asInt": "1"}]}}, "'name' is missing"),
        ({"name": "m", "sum": {"dataPoints": [{"asInt": "many"}]}}, "could not convert string to float: 'many'"),
    ],
)
def test_what_is_wrong_in_a_request_is_told(metric: dict[str, Any], detail: str) -> None:
    request = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    with pytest.raises(InvalidReading, match=f"OTLP: {detail}"):
        MAPPING.readings(Message(json.dumps(request).encode()), Limits())


NO_VALUE = {"name": "m", "gauge": {"dataPoints": [{"timeUnixNano": "1795338000000000000", "flags": 1}]}}


@pytest.mark.parametrize("metrics", [None, [], [NO_VALUE]], ids=["no resource", "no metric", "no recorded value"])
@pytest.mark.parametrize("packed", [True, False], ids=["protobuf", "json"])
def test_of_a_request_without_a_point_there_is_nothing_to_refuse(metrics: Any, *, packed: bool) -> None:
    request = {} if metrics is None else {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
    body = ParseDict(request, ExportMetricsServiceRequest()).SerializeToString() if packed else json.dumps(request)
    assert MAPPING.readings(Message(body.encode() if isinstance(body, str) else body), Limits()) == []


def test_logs_and_traces_are_refused_by_their_name() -> None:
    with pytest.raises(InvalidReading, match=r"the body holds resourceLogs, no metrics \(resourceMetrics\)"):
        MAPPING.readings(Message(b'{"resourceLogs": []}'), Limits())


def test_a_resource_without_a_name_is_refused_with_what_names_it() -> None:
    point = {"name": "m", "gauge": {"dataPoints": [{"asInt": "1"}]}}
    request = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [point]}]}]}
    with pytest.raises(InvalidReading, match=r"cannot be named.*OTEL_SERVICE_NAME.*resourcedetection"):
        MAPPING.readings(Message(json.dumps(request).encode()), Limits())


@pytest.mark.parametrize("body", [b"\xff\xff", b'{"resourceMetrics": 7}', b'{"resourceMetrics": [{"resource": 1}]}'])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidReading, match="no ExportMetricsServiceRequest"):
        MAPPING.readings(Message(body), Limits())


def test_without_its_library_protobuf_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2", None)
    with pytest.raises(InvalidReading, match=r"pip install 'streamnorm\[otlp\]'"):
        MAPPING.readings(Message(b"\x0a\x00"), Limits())
