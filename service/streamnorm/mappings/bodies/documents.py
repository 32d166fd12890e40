"""A message's body as a document of objects, arrays, texts and numbers, whatever form it was sent in."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl

from streamnorm.errors import InvalidReading
from streamnorm.formats import lenient_json, line_protocol

Format = Literal["auto", "json", "form", "text", "line", "sparkplug", "otlp", "remote-write"]
FORMATS: tuple[str, ...] = get_args(Format)
FORM = "application/x-www-form-urlencoded"


def parse_body(body: bytes, media_type: str, format: Format) -> Any:  # noqa: A002 - the mapping's key
    """Parse a body in a `format`; `auto` goes by its `media_type` where that says something, and by how it begins.

    >>> parse_body(b'{"t": NaN}', "application/json", "auto")
    {'t': nan}
    >>> parse_body(b"tempf=70.3&humidity=48", "application/x-www-form-urlencoded", "auto")
    {'tempf': '70.3', 'humidity': '48'}
    >>> parse_body(b"21.4", "", "auto"), parse_body(b"ON", "text/plain", "auto")
    (21.4, 'ON')

    Raises:
        InvalidReading: it is not of this format.

    """
    text = body.decode("utf-8-sig", "replace").strip().strip("\0\ufeff")
    if format == "auto":
        format = "form" if media_type == FORM and not text.startswith(("{", "[")) else "json"  # noqa: A001
        lenient = not media_type.endswith("json")
    else:
        lenient = False
    if format == "form":
        return parse_form(text)
    if format == "line":
        return parse_lines(text)
    if format == "text":
        return text
    try:
        return lenient_json.loads(text)
    except ValueError as error:
        if lenient and text and not text.startswith(("{", "[", '"')):
            return text
        raise InvalidReading.at("", f"the body is not JSON: {error}") from None


def parse_form(text: str) -> dict[str, Any]:
    """Parse the fields of a form; a field that comes again makes an array."""
    fields: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name in fields:
            before = fields[name]
            fields[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            fields[name] = value
    if not fields:
        raise InvalidReading.at("", "the body is no form: it must be name=value&name=value")
    return fields


def parse_lines(text: str) -> dict[str, Any]:
    """Parse line protocol into the document that Telegraf writes as JSON."""
    metrics = []
    for number, point, detail in line_protocol.parsed(text):
        if point is None:
            raise InvalidReading.at("", f"line {number} is no line protocol: {detail}")
        metric = {"name": point.measurement, "tags": dict(point.tags), "fields": dict(point.fields)}
        metrics.append(metric if point.time is None else {**metric, "timestamp": point.time})
    return {"metrics": metrics}


def opened(text: str) -> Any:
    """Return the document inside a text: JSON, perhaps as base64; the text itself where it is neither."""
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return lenient_json.loads(text)
        except ValueError:
            return text
    try:
        inner = base64.b64decode(text, validate=True).decode()
        return lenient_json.loads(inner) if inner.lstrip()[:1] in {"{", "["} else text
    except (binascii.Error, ValueError):
        return text
