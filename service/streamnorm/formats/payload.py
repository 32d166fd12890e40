"""Messages as sensors publish them: JSON, SenML (as JSON or CBOR), or a bare number."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

import orjson

from streamnorm.engine.limits import LARGEST_DEPTH, Limits
from streamnorm.engine.reading import Reading, check_seq, is_absent, parse_reading
from streamnorm.errors import InvalidReading
from streamnorm.formats import cbor, lenient_json, senml
from streamnorm.formats.instants import seconds

#: the feature of a bare number, where its topic names none
DEFAULT_FEATURE = "value"
#: what a flat body may have beside its values
BESIDE = ("timestamp", "seq")
#: Members that an error names.
MOST_NAMED = 8
#: a number, also as JSON has none: `+5`, `.5`, `007`
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
WORDS = {"true": 1.0, "on": 1.0, "open": 1.0, "false": 0.0, "off": 0.0, "closed": 0.0}


def decoded(payload: bytes, now: float, limits: Limits, feature: str = DEFAULT_FEATURE) -> list[Reading]:
    """Read the `payload` of a message: one reading, or those of a SenML pack, within `limits`.

    `now` is the time of arrival (s since 1970), and `feature` what a bare number is called.

    A JSON object is a reading as in a body of the service (`values`, `timestamp`, `seq`), or is flat: then its
    numbers, booleans and arrays are the features, and the rest is nobody's. An array of numbers is a reading, one of
    objects SenML.

    >>> decoded(b"21.4", 0, Limits())[0].values
    [21.4]
    >>> decoded(b'{"temp": 21.4, "door": true, "room": "roof"}', 0, Limits())[0].names
    ('temp', 'door')

    Raises:
        InvalidReading: it is none of these.

    """
    if payload and payload[0] >> 5 == cbor.ARRAY:
        try:
            return _pack(cbor.loads(payload), now, limits)
        except cbor.LibraryMissing as error:
            raise InvalidReading.at("", str(error)) from None
    text = payload.decode("utf-8", "replace").strip()
    if text.lower() in WORDS:
        return [parse_reading({feature: WORDS[text.lower()]}, limits, pointer="")]
    try:
        data = lenient_json.loads(text)
    except orjson.JSONDecodeError as error:
        if text.startswith(("{", "[", '"')):
            raise InvalidReading.at(
                "", f"the message is not JSON: {error.msg}: line {error.lineno}, column {error.colno}"
            ) from None
        if not _NUMBER.fullmatch(text):
            detail = f"{text!r:.60} is neither JSON nor a number" if text else "the message is empty"
            raise InvalidReading.at("", detail) from None
        data = float(text)
    if isinstance(data, list) and data and all(isinstance(each, dict) for each in data):
        return _pack(data, now, limits)
    if isinstance(data, dict):
        return [_object(data, limits)]
    return [parse_reading(data if isinstance(data, list) else {feature: data}, limits, pointer="")]


def with_values(body: dict[str, Any]) -> dict[str, Any]:
    """Return a reading's body: one without `values` is flat, and its numbers and arrays are the values.

    Texts and objects in a flat body are nobody's, and so are its nulls beside numbers. Where it has nothing else, a few
    texts are the values all the same, so that an error names them.

    >>> with_values({"temp": 21.4, "door": True, "room": "roof", "timestamp": 17})
    {'timestamp': 17, 'values': {'temp': 21.4, 'door': True}}
    >>> with_values({"temp": "21.4"}), with_values({"seq": 7})
    ({'values': {'temp': '21.4'}}, {'seq': 7})
    """
    if "values" in body:
        return body
    members = {name: value for name, value in body.items() if name not in BESIDE}
    given = {name: value for name, value in members.items() if _is_value(value)}
    values = {name: value for name, value in given.items() if value is not None} or given
    if not values:
        texts = ((name, value) for name, value in members.items() if isinstance(value, str) and name != "stream")
        values = dict(islice(texts, MOST_NAMED))
    return {name: body[name] for name in BESIDE if name in body} | {"values": values} if values else body


def _is_value(value: object, depth: int = 0) -> bool:
    """Return whether a value is a number, null, "nan" or an array; one nested beyond all limits is left to errors."""
    if isinstance(value, list):
        return depth > LARGEST_DEPTH or (bool(value) and all(_is_value(each, depth + 1) for each in value))
    return is_absent(value) or isinstance(value, (bool, int, float))


def _pack(pack: object, now: float, limits: Limits) -> list[Reading]:
    found = [each.reading for each in senml.readings(senml.resolved(pack, now), limits)]
    if not found:
        raise InvalidReading.at("", "an array of objects is a SenML pack, and this one holds no number (v)")
    return found


def _object(data: dict[str, Any], limits: Limits) -> Reading:
    flat = "values" not in data
    data = with_values(data)
    if "values" not in data:
        raise InvalidReading.at("", "must hold at least one feature")
    unknown = data.keys() - {"values", "timestamp", "seq", "stream"}
    if unknown:
        raise InvalidReading.at(f"/{min(unknown)}", "is unknown")
    timestamp, seq = data.get("timestamp"), data.get("seq")
    if seq is not None:
        if type(seq) is not int:
            raise InvalidReading.at("/seq", "must be a whole number")
        check_seq(seq)
    try:
        moment = None if timestamp is None else seconds(timestamp)
    except ValueError as error:
        raise InvalidReading.at("/timestamp", str(error)) from None
    return parse_reading(data["values"], limits, timestamp=moment, seq=seq, pointer="" if flat else "/values")
