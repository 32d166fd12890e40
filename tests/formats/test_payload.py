"""Messages of sensors in the forms that sensors have."""

from __future__ import annotations

import sys
from typing import Any

import cbor2
import pytest

from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Reading
from streamnorm.errors import InvalidReading
from streamnorm.formats.payload import decoded


def one(payload: bytes | str, feature: str = "value") -> Reading:
    """Read a message of one reading."""
    (found,) = decoded(payload.encode() if isinstance(payload, str) else payload, 1e9, Limits(), feature)
    return found


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        ("21.5", 21.5), (" -3 \n", -3.0), ("1e3", 1000.0), ("ON", 1.0), ("off", 0.0), ("true", 1.0), ("closed", 0.0),
        ("+5", 5.0), (".50", 0.5), ("5.", 5.0), ("-.5e1", -5.0), ("007", 7.0),
    ],
)  # fmt: skip
def test_a_bare_number_or_switch_is_a_reading_of_one_feature(payload: str, value: float) -> None:
    assert (one(payload, "temp").names, one(payload, "temp").values) == (("temp",), [value])


def test_a_flat_object_has_its_numbers_and_booleans_read() -> None:
    found = one('{"temperature": 21.5, "contact": false, "battery": 97, "state": "ON", "update": {"x": 1}}')
    assert dict(zip(found.names, found.values, strict=True)) == {"temperature": 21.5, "contact": 0.0, "battery": 97.0}


def test_a_reading_as_in_a_body_has_its_time_and_number() -> None:
    found = one('{"values": {"temp": 21.5}, "timestamp": "1970-01-01T00:00:07Z", "seq": 5}')
    assert (found.names, found.values, found.timestamp, found.seq) == (("temp",), [21.5], 7.0, 5)


def test_an_array_of_numbers_is_a_reading() -> None:
    assert one("[1, null, 3]").listed


@pytest.mark.parametrize("packed", [False, True])
def test_a_pack_has_a_reading_a_time(*, packed: bool) -> None:
    pack: list[dict[Any, Any]] = [{"bn": "dev:", "n": "t", "v": 1}, {"n": "t", "t": 1, "v": 2}]
    payload = (
        cbor2.dumps([{-2: "dev:", 0: "t", 2: 1}, {0: "t", 6: 1, 2: 2}])
        if packed
        else str(pack).replace("'", '"').encode()
    )
    assert [(each.timestamp, each.values) for each in decoded(payload, 1e9, Limits())] == [
        (1e9, [1.0]),
        (1e9 + 1, [2.0]),
    ]


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"warm", b"{}", b'{"state": "ON"}', b"[]", b'"x"', b"\x81\xff", b'[{"n": "label", "vs": "x"}]',
        b'{"values": {"a": "x"}}', b'{"values": {"a": 1}, "seq": "5"}', b'{"values": {"a": 1}, "seq": -1}',
        b'{"values": {"a": 1}, "timestamp": "now"}', b'{"values": {"a": 1}, "sequence": 1}', b"1e99",
    ],
)  # fmt: skip
def test_what_is_no_reading_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidReading):
        decoded(payload, 1e9, Limits())


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        ('{"temp": 21.5', "the message is not JSON: unexpected end of data: line 1, column 14"),
        ('{"temp": 1e999}', "the message is not JSON: number is infinity when parsed as double: line 1, column 10"),
        ("{'temp': 21.5}", "the message is not JSON: unexpected character, expected a string key: line 1, column 2"),
        ("1e400", "/value: inf is not within ±1e+75"),
        ("21,5", "'21,5' is neither JSON nor a number"),
        ("", "the message is empty"),
        (" \n", "the message is empty"),
        ('[{"temp": 21.5}]', "an array of objects is a SenML pack, and this one holds no number (v)"),
    ],
)
def test_an_error_tells_what_is_wrong_and_where(payload: str, detail: str) -> None:
    with pytest.raises(InvalidReading) as caught:
        one(payload)
    assert str(caught.value) == detail


def test_cbor_without_its_library_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cbor2", None)
    with pytest.raises(InvalidReading, match=r"streamnorm\[senml\]"):
        decoded(b"\x80", 0, Limits())
