"""What a mapping makes of a message, and what it says where it makes nothing."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from streamnorm.engine.limits import Limits
from streamnorm.errors import InvalidReading
from streamnorm.mappings import Message, StreamReading, mapping_of

TIME = 1_795_338_000


def mapped(table: dict[str, Any], body: Any, topic: str = "", **variables: str) -> list[StreamReading]:
    """Return the readings of a body under a mapping of which only what matters is told."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return mapping_of({"name": "m", "stream": "s"} | table).readings(Message(data, topic, variables), Limits())


def values(table: dict[str, Any], body: Any) -> dict[str, Any]:
    """Return the values of the only reading."""
    [(_, reading, _)] = mapped(table, body)
    return dict(zip(reading.names, reading.values, strict=True))


def refusal(table: dict[str, Any], body: Any) -> InvalidReading:
    """Return why a body has no reading."""
    with pytest.raises(InvalidReading) as caught:
        mapped(table, body)
    return caught.value


def test_members_and_elements_are_named_by_where_they_stand() -> None:
    assert values({}, {"a": {"b": 1}, "c": [2, {"d": True}]}) == {"a.b": 1, "c.0": 2, "c.1.d": 1}


def test_texts_are_left_out_unless_the_mapping_says_that_they_are_numbers() -> None:
    body = {"a": "21,4 °C", "b": 1, "c": "open", "d": "auto"}
    assert values({}, body) == {"b": 1, "c": 1}
    assert values({"strings": "number", "states": {"auto": 7}}, body) == {"a": 21.4, "b": 1, "c": 1, "d": 7}


def test_nan_is_missing_in_every_spelling() -> None:
    found = values({}, '{"a": NaN, "b": "nan", "c": null, "d": nan, "e": 1}')
    assert [name for name, value in found.items() if math.isnan(value)] == ["a", "b", "d"]
    assert "c" not in found


def test_include_and_exclude_are_globs_of_names() -> None:
    assert values({"include": ["t*", "h"], "exclude": ["*.unit"]}, {"t": {"v": 1, "unit": 7}, "h": 2, "x": 3}) == {
        "t.v": 1,
        "h": 2,
    }


def test_what_names_stream_time_and_seq_is_no_feature() -> None:
    table = {"stream": "{/id}", "time": "/meta/t", "seq": "/n"}
    [(stream, reading, _)] = mapped(table, {"id": 7, "meta": {"t": TIME * 1000, "x": 2}, "n": "12", "y": 3})
    assert (stream, reading.timestamp, reading.seq, reading.names) == ("7", TIME, 12, ("meta.x", "y"))


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_the_unit_of_an_epoch_is_told_by_its_size(unit: int) -> None:
    for written in (TIME * unit, str(TIME * unit)):
        [(_, reading, _)] = mapped({"time": "/t"}, {"t": written, "x": 1})
        assert reading.timestamp == TIME


@pytest.mark.parametrize("never_set", [0, 17.5, "1970-01-01T00:00:10Z", None, "2026-11-22T09:00:00"])
def test_a_clock_that_was_never_set_and_a_time_without_a_zone_do_not_count(never_set: object) -> None:
    [(_, reading, _)] = mapped({"time": "/t"}, {"t": never_set, "x": 1})
    assert reading.timestamp is None


def test_local_times_are_those_of_the_time_zone() -> None:
    for text, winter in (("2026-11-22T10:00:00", TIME), ("2026-07-22 11:00", 1_784_710_800)):
        [(_, reading, _)] = mapped({"time": "/t", "time_zone": "Europe/Berlin"}, {"t": text, "x": 1})
        assert reading.timestamp == winter


def test_each_element_is_a_reading_and_has_what_the_body_has_for_all() -> None:
    body = {"unit": "u-1", "samples": [{"t": TIME, "x": 1}, {"t": TIME + 1, "x": 2}, {"note": "no number"}]}
    found = mapped({"stream": "{/unit}", "each": "/samples", "time": "/t"}, body)
    assert [(one.stream, one.reading.timestamp, one.pointer) for one in found] == [
        ("u-1", TIME, "/samples/0"),
        ("u-1", TIME + 1, "/samples/1"),
    ]


def test_a_wildcard_keeps_the_name_of_the_member() -> None:
    found = mapped({"stream": "{room}", "each": "/rooms/{room}"}, {"rooms": {"a/b": {"t": 1}, "c": {"t": 2}}})
    assert [one.stream for one in found] == ["a~1b", "c"]


def test_a_stream_is_named_by_the_topic_or_the_query() -> None:
    table = {"topics": ["farm/{site}/{device...}"], "stream": "{site}.{device}"}
    assert mapped(table, {"x": 1}, "farm/north/barn/fan")[0].stream == "north.barn~1fan"
    assert mapped(table, {"x": 1}, site="north", device="fan")[0].stream == "north.fan"


def test_a_name_before_features_may_be_absent_where_the_template_says_so() -> None:
    assert values({"feature": "{what|}"}, {"x": 1}) == {"x": 1}
    elements = [{"kind": "air", "t": 21}, {"note": "neither a name nor a number"}]
    [(_, reading, _)] = mapped({"feature": "{/kind}", "each": "/all", "include": ["air.t"]}, {"all": elements})
    assert reading.names == ("air.t",)


def test_a_channel_stays_whole() -> None:
    found = values({"channels": ["ir"]}, {"ir": [[1, 2], [3, None]], "xs": [1, 2]})
    assert found.pop("ir").mean == 2.0
    assert found == {"xs.0": 1, "xs.1": 2}


def test_an_array_of_numbers_is_a_reading() -> None:
    assert values({}, [1.5, 2]) == {"0": 1.5, "1": 2}


def test_names_that_no_feature_can_have_are_escaped_and_stay_apart() -> None:
    long = "x" * 200
    names = list(values({}, {"a\nb": 1, "e\u0301": 2, "a/b": 3, f"{long}1": 4, f"{long}2": 5}))
    assert names[:3] == ["a~ua;b", "é", "a/b"]
    assert len(set(names)) == 5


def test_a_byte_order_mark_is_no_matter() -> None:
    assert values({}, '\ufeff{"x": 1}') == {"x": 1}


def test_a_form_and_a_bare_text_are_bodies_too() -> None:
    table = mapping_of({"name": "m", "stream": "s", "strings": "number"})
    form = table.readings(Message(b"x=1,5&y=on", media_type="application/x-www-form-urlencoded"), Limits())
    text = table.readings(Message(b"17 %\n", media_type="text/plain"), Limits())
    assert [dict(zip(one.reading.names, one.reading.values, strict=True)) for one in (*form, *text)] == [
        {"x": 1.5, "y": 1},
        {"value": 17},
    ]


@pytest.mark.parametrize(
    ("table", "body", "pointer", "detail"),
    [
        ({"root": "/data"}, {"date": {}}, "", "there is nothing at /data (root)"),
        ({"root": "/data", "hint": "ask the vendor"}, {"x": 1}, "", "(root); ask the vendor"),
        ({"each": "/samples"}, {"x": 1}, "", "there is nothing at /samples (each)"),
        ({}, {"t": "21.4"}, "", "t is the text '21.4'; strings = \"number\""),
        ({}, {"mode": "heat"}, "", "mode is 'heat'; states = { … } gives texts a value"),
        ({"exclude": ["x"]}, {"x": 1}, "", "include and exclude leave out x"),
        ({"stream": "{/id}"}, {"x": 1}, "", "'{/id}' cannot be named: {/id} is not in the message"),
        ({"stream": "{device}"}, {"x": 1}, "", "name it in the query (?device=…)"),
        ({"feature": "{what}"}, 21.5, "", "its features '{what}' cannot be named: {what} is not in the message"),
        ({"feature": "{/kind}", "each": "/all"}, {"all": [{"x": 1}]}, "/all/0", "features '{/kind}' cannot be named"),
        ({"time": "/t"}, {"t": "soon", "x": 1}, "/t", "must be ISO 8601 or an epoch, not 'soon' (time)"),
        ({"seq": "/n"}, {"n": 1.5, "x": 1}, "/n", "must be a whole number (seq), not 1.5"),
        ({"root": "/d"}, {"d": {"x": 1e200}}, "/d/x", "is not within"),
        ({}, "{", "", "the body is not JSON"),
        ({}, "", "", "the body is not JSON"),
    ],
)
def test_an_error_names_the_mapping_the_place_and_what_would_help(
    table: dict[str, Any], body: Any, pointer: str, detail: str
) -> None:
    [fault] = refusal(table, body).faults
    assert fault.pointer == pointer
    assert fault.detail.startswith("mapping 'm': ")
    assert detail in fault.detail


def test_a_body_nested_beyond_reason_ends_in_an_answer() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert refusal({}, deep).faults
    assert refusal({}, '{"x": NaN, "y": ' + deep + "}").faults
