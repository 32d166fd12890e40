"""OTLP's metrics in protobuf are those in JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

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


@pytest.mark.parametrize("body", [b"\xff\xff", b'{"resourceMetrics": 7}', b'{"resourceMetrics": [{"resource": 1}]}'])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidReading, match="no ExportMetricsServiceRequest"):
        MAPPING.readings(Message(body), Limits())


def test_without_its_library_protobuf_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2", None)
    with pytest.raises(InvalidReading, match=r"pip install 'streamnorm\[otlp\]'"):
        MAPPING.readings(Message(b"\x0a\x00"), Limits())
