"""Metrics of OpenTelemetry (OTLP/HTTP) as a document: JSON as it is, protobuf by a library that is an extra.

A point's feature is its metric's name, and its attributes behind it: `http.requests,route=/cart`. Histograms and
summaries are their count and sum. What no reading can hold, infinities, is NaN. Protobuf leaves out what is 0, a time
that is not known, say, or a count, and JSON may, too.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from typing import Any

from streamnorm.engine.limits import LARGEST_VALUE
from streamnorm.errors import InvalidReading
from streamnorm.formats import lenient_json
from streamnorm.formats.ids import escaped

#: kinds of metrics -> the members of their points that are numbers, and what follows the metric's name
_KINDS = {
    "gauge": {"asDouble": "", "asInt": ""},
    "sum": {"asDouble": "", "asInt": ""},
    "histogram": {"count": ".count", "sum": ".sum"},
    "exponentialHistogram": {"count": ".count", "sum": ".sum"},
    "summary": {"count": ".count", "sum": ".sum"},
}
#: what a point has where it is left out; the sum of a histogram may be unknown
_ZEROS = {
    "histogram": {"count": 0},
    "exponentialHistogram": {"count": 0},
    "summary": {"count": 0, "sum": 0},
}


def parse_metrics(body: bytes) -> dict[str, Any]:
    """Parse a request into `resources`, each with its `attributes`, and its `points` of `name`, `value` and `time`.

    >>> point = {"asInt": "7", "timeUnixNano": "1795338000000000000"}
    >>> metric = {"name": "queue", "gauge": {"dataPoints": [point]}}
    >>> parse_metrics(
    ...     b'{"resourceMetrics": [{"scopeMetrics": [{"metrics": [%s]}]}]}' % str(metric).replace("'", '"').encode()
    ... )
    {'resources': [{'attributes': {}, 'points': [{'name': 'queue', 'value': 7.0, 'time': '1795338000000000000'}]}]}

    Raises:
        InvalidReading: it is none, or the library is missing.

    """
    request = _json(body) if body.lstrip()[:1] == b"{" else _protobuf(body)
    if request and "resourceMetrics" not in request:
        raise InvalidReading.at("", f"the body holds {', '.join(request)}, no metrics (resourceMetrics)")
    try:
        return {
            "resources": [
                {"attributes": _attributes(each.get("resource", {})), "points": list(_points(each))}
                for each in request.get("resourceMetrics", ())
            ]
        }
    except (KeyError, ValueError) as error:
        detail = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InvalidReading.at("", f"the body is no ExportMetricsServiceRequest of OTLP: {detail}") from None
    except (AttributeError, TypeError):
        raise InvalidReading.at("", "the body is no ExportMetricsServiceRequest of OTLP") from None


def _json(body: bytes) -> Any:
    try:
        return lenient_json.loads(body)
    except ValueError as error:
        raise InvalidReading.at("", f"the body is not JSON: {error}") from None


def _protobuf(body: bytes) -> Any:
    try:
        service = importlib.import_module("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
        formats = importlib.import_module("google.protobuf.json_format")
    except ModuleNotFoundError:
        detail = "OTLP in protobuf needs opentelemetry-proto: pip install 'streamnorm[otlp]'; JSON needs nothing"
        raise InvalidReading.at("", detail) from None
    request = service.ExportMetricsServiceRequest()
    try:
        request.ParseFromString(body)
    except Exception as error:  # noqa: BLE001 - the library's DecodeError, known only where it is installed
        raise InvalidReading.at("", f"the body is no ExportMetricsServiceRequest of OTLP: {error}") from None
    return formats.MessageToDict(request)


def _points(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for scope in resource.get("scopeMetrics", ()):
        for metric in scope.get("metrics", ()):
            for kind, numbers in _KINDS.items():
                for given in metric.get(kind, {}).get("dataPoints", ()):
                    point = {"timeUnixNano": None} | _ZEROS.get(kind, {}) | given
                    name = metric["name"] + _tags(_attributes(point))
                    for member, behind in numbers.items():
                        if member in point:
                            value, time = _number(point[member]), point["timeUnixNano"]
                            yield {"name": name + behind, "value": value, "time": time}


def _number(given: Any) -> float:
    value = float(given)
    return value if -LARGEST_VALUE <= value <= LARGEST_VALUE else math.nan


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {
        each.get("key", ""): next(iter(each.get("value", {}).values()), None) for each in holder.get("attributes", ())
    }


def _tags(attributes: dict[str, Any]) -> str:
    return "".join(f",{escaped(name, ',=')}={escaped(str(value), ',=')}" for name, value in sorted(attributes.items()))
