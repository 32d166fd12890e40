"""Line protocol: what its own rules say, and what goes in comes out."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.engine.limits import Limits
from streamnorm.engine.names import stream_id_fault
from streamnorm.errors import InvalidReading
from streamnorm.formats.line_protocol import (
    Malformed,
    Point,
    parse,
    parsed,
    stream_id,
    to_reading,
    told_by_size,
    written,
)
from streamnorm.formats.plain_lines import split_all_plain, split_plain
from streamnorm.formats.point_columns import PointColumns

NAMES = st.text(
    st.characters(exclude_characters="\\\n\r\t", exclude_categories=["C", "Z"]) | st.sampled_from(" ,="), min_size=1
)
TEXTS = st.text(st.characters(exclude_categories=["C"]))
FIELDS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1) | st.booleans() | TEXTS
POINTS = st.builds(
    lambda measurement, tags, fields, time: Point(measurement, tuple(sorted(tags.items())), fields, time),
    NAMES.filter(lambda name: not name.startswith(("#", " ", '"'))),
    st.dictionaries(NAMES, NAMES, max_size=3),
    st.dictionaries(NAMES, FIELDS, min_size=1, max_size=3),
    st.none() | st.integers(-(2**62), 2**62),
)


@given(POINTS)
def test_a_written_point_is_parsed_to_the_same_point(point: Point) -> None:
    assert parse(written(point, point.fields)) == point


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("m f=1", {"f": 1.0}),
        ("m f=-1.5e-3", {"f": -0.0015}),
        ("m f=1.,g=.5", {"f": 1.0, "g": 0.5}),
        ("m f=12i,g=12u", {"f": 12, "g": 12}),
        ("m a=t,b=T,c=true,d=True,e=TRUE,f=f,g=False", dict.fromkeys("abcde", True) | dict.fromkeys("fg", False)),
        (r'm f="a, \"b\" = \\ c"', {"f": r'a, "b" = \ c'}),
        (r"m f\ g=1,h\=i=2", {"f g": 1.0, "h=i": 2.0}),
    ],
)
def test_fields_are_what_they_say(line: str, fields: object) -> None:
    assert parse(line).fields == fields


def test_tags_come_in_the_order_of_their_names() -> None:
    assert parse(r"m,b=2,a\,c=1\=1 f=1").tags == (("a,c", "1=1"), ("b", "2"))


def test_measurements_may_have_equals_signs() -> None:
    assert parse(r"a=b\ c f=1").measurement == "a=b c"


@pytest.mark.parametrize(
    "line",
    [
        "m", "m ", "m f", "m f=", "m f=x", "m f=nan", "m f=1i5", 'm f="x', "m f=1 x", "m f=1 1.5", "m,t f=1",
        "m,t= f=1", " f=1", "m f=1,", "m f=1 17 18", 'm f="x"y', "m f=1" + "0" * 400 + "i",
    ],
)  # fmt: skip
def test_what_is_no_line_protocol_is_refused(line: str) -> None:
    with pytest.raises(Malformed):
        parse(line)


def test_a_malformed_line_is_told_and_the_others_are_taken() -> None:
    found = list(parsed("# a comment\n\nm f=1\nnothing\r\nm f=2\r\n"))
    assert [(each.line, each.point is None) for each in found] == [(3, False), (4, True), (5, False)]


def test_a_text_goes_over_several_lines() -> None:
    found = list(parsed('m f="a\nb",g=1 17\nm f=2'))
    assert [each.point and each.point.fields for each in found] == [{"f": "a\nb", "g": 1.0}, {"f": 2.0}]


def test_a_text_without_end_costs_its_own_line_only() -> None:
    found = list(parsed('m f="a\nm f=1\nm f=2'))
    assert [each.point is None for each in found] == [True, False, False]


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{measurement}{tags}", "disk,device=sda,host=a b,path=~1"),
        ("{measurement}", "disk"),
        ("{host}", "a b"),
        ("site-{measurement}.{nothing}", "site-disk"),
        ("{path}:{device}", "~1:sda"),
        ("-{nothing}/{device}.log.", "~1sda.log"),
    ],
)
def test_streams_are_named_by_the_template(template: str, name: str) -> None:
    assert stream_id(parse(r"disk,path=/,host=a\ b,device=sda f=1"), template) == name


@pytest.mark.parametrize("template", ["", "{nothing}", "-"])
def test_a_stream_without_a_name_is_refused(template: str) -> None:
    with pytest.raises(Malformed, match="empty"):
        stream_id(parse("m,tag=x f=1"), template)


def test_points_of_other_tags_are_other_streams() -> None:
    lines = [
        "m f=1",
        "m,room=kitchen f=1",
        "m,floor=kitchen f=1",
        "m,path=/a_b f=1",
        "m,path=/a/b f=1",
        r"m,a=x\,b\=y f=1",
        "m,a=x,b=y f=1",
        r"m\,a\=x f=1",
        "m,a=x f=1",
        f"m,long={'x' * 300} f=1",
        f"m,long={'x' * 299}y f=1",
    ]
    ids = [stream_id(parse(line)) for line in lines]
    assert len({*ids}) == len(lines)
    assert not any(map(stream_id_fault, ids))


def test_texts_are_no_readings() -> None:
    assert to_reading(parse('m f="x"'), 1, Limits()) is None


def test_numbers_and_booleans_are_a_reading_at_the_points_time() -> None:
    one = to_reading(parse('m a=1,b=t,c=3i,d="x" 1500'), 10**6, Limits())
    assert one is not None
    assert (one.names, one.values, one.timestamp) == (("a", "b", "c"), [1.0, 1.0, 3.0], 1.5)
    assert one.point is not None
    assert one.point.time == 1_500_000_000


def test_a_number_beyond_all_sensors_is_refused() -> None:
    with pytest.raises(InvalidReading, match="/f"):
        to_reading(parse("m f=1e99"), 1, Limits())


def test_a_text_of_backslashes_without_an_end_is_refused_at_once() -> None:
    (found,) = parsed(f'm f="{chr(92) * 5000}')
    assert "has no end" in found.detail


def test_a_text_that_ends_by_a_backslash_and_a_quote_is_taken_as_it_was_meant() -> None:
    assert parse('m f="C:\\temp\\"').fields == {"f": "C:\\temp\\"}


# fmt: off
NEARLY_NUMBERS = st.floats().map(repr) | st.sampled_from([
    "1", "-1.5", "+.5", "5.", "1e5", "1e-05", "1E+49", "1e50", "1e-400", "1.2.3", "12i", "-3i", "7u", "1.5i", "1e3i",
    "1i5", "i", ".", "e5", "+-1", "1_0", "nan", "inf", "t", "F", "9" * 20 + "i", "9" * 21 + "i", "9" * 24, "9" * 80,
    "\u0661", "\t1", '"x"', "",
])
NEARLY_PLAIN = st.builds(
    "{} {}={},{}={}{}".format,
    st.sampled_from(["m", "a=b", "m,t=x", "m,t=x,u=y", "#", "m\\ n", 'm"', "é"]),
    st.sampled_from(["f", "1", "e5", "", "a.b", "-"]), NEARLY_NUMBERS,
    st.sampled_from(["g", "f", "g=h", "g,h"]), NEARLY_NUMBERS,
    st.sampled_from(["", " 17", " -17", " 9999999999999999999", " 1e3", " ", "  17", ","]),
)
# fmt: on


@given(NEARLY_PLAIN)
def test_a_plain_line_is_split_into_what_it_is_parsed_to(line: str) -> None:
    plain = split_plain(line)
    if plain is not None:
        whole = to_reading(parse(line), 1, Limits())
        assert whole is not None
        assert (plain.names, plain.numbers) == (whole.names, whole.values)
        assert (plain.time, parse(f"{plain.series} f=1").tags) == (parse(line).time, parse(line).tags)


@given(st.lists(NEARLY_PLAIN, min_size=1, max_size=4))
def test_plain_lines_are_split_at_once_into_what_they_are_parsed_to(lines: list[str]) -> None:
    plain = split_all_plain("\n".join(lines))
    if plain is not None:
        wholes = [to_reading(parse(line.strip()), 1, Limits()) for line in lines]
        assert all(whole is not None for whole in wholes)
        names = [names for names, count in plain.names for _ in range(count)]
        assert names == [whole.names for whole in wholes if whole]
        values = [value for whole in wholes if whole for value in whole.values]
        assert list(map(repr, plain.numbers)) == list(map(repr, values))  # -0 has its sign
        times = [whole.point.time for whole in wholes if whole and whole.point]
        assert [time for time in times if time is not None] == plain.times
        assert len(plain.times) in {0, len(lines)}
        assert plain.series == [line.partition(" ")[0] for line in lines]


def test_numbers_that_are_none_in_json_and_whole_ones_are_split_at_once() -> None:
    plain = split_all_plain("m a=+1,b=.5,c=5.,d=007,e=-0,f=-3i 17\nn a=12i,b=9223372036854775807i,c=1e5,d=-0 18")
    assert plain is not None
    values = [1.0, 0.5, 5.0, 7.0, -0.0, -3.0, 12.0, 2.0**63, 1e5, -0.0]
    assert plain.numbers.tobytes() == array("d", values).tobytes()


@pytest.mark.parametrize(
    "odd",
    [
        *("", "# a comment", "m", "m f", "m f=", "m f=1,", "m f=1,g", "m f,g=1=2", "m f=1=2", "m f=1,f=2", "m =1"),
        *("m f=1=2=3", "m a,1,c=2", "m f=1 \u00b2"),
        *("m f=t", 'm f="x"', "m f=1e76", "m f=1_0", "m f=\u0661", "m f=nan", "m f=1.5i", f"m f={'9' * 21}i"),
        *("m f=1 1e3", "m f=1 17 18", "m  f=1", "m f=1 -", f"m f=1 1{'0' * 19}", "m f=1 17\r", "m f=1\t"),
        *(r"m\ n f=1", r"m f\ g=1", ",t=x f=1", "m, f=1", "m,t f=1", "\tm f=1", "#m f=1"),
    ],
)
def test_one_line_that_is_not_plain_leaves_all_to_the_parser(odd: str) -> None:
    columns = PointColumns(Limits())
    for lines in ([odd, "n f=1"], ["n f=1 17", odd], ["n f=1", odd, "n g=1"], ["n f=1", "n g=1,f=1", odd]):
        assert not columns.append_lines(1, "\n".join(lines))
    assert not columns.append_lines(1, "n f=1 17\nn f=1")
    assert columns.append_lines(1, "n f=1,g=2i 17\nn g=1 18")
    assert columns.freeze().stream_ids == ("n",)
    assert columns.numbers.tolist() == [1.0, 2.0, 1.0]


def test_lines_that_would_be_too_many_are_left_to_the_parser() -> None:
    columns = PointColumns(Limits(max_rows=2))
    assert not columns.append_lines(1, "m f=1\nm f=1\nm f=1")
    assert columns.append_lines(1, "m f=1\nm f=1")


@pytest.mark.parametrize("line", ["m f=1", "m,t=x,u=y f=1,g=-2.5,h=3i 17", "m f=1e-05,g=.5 -17"])
def test_plain_lines_are_split(line: str) -> None:
    assert split_plain(line) is not None


@pytest.mark.parametrize("tick", [1, 10**9, None])
def test_lines_are_the_columns_that_their_points_are(tick: int | None) -> None:
    lines = ["m,b=2,a=1 f=1,g=2 17", "m,a=1,b=2 f=1,g=2", "m,b=2,a=1 g=3", "n f=1 1700000000", "n f=1 1700000000000"]
    one, other, together = (PointColumns(Limits(), "{measurement}", tick) for _ in range(3))
    assert together.append_lines(0, lines[0])
    assert together.append_lines(1, "\n".join(lines[1:3]))
    assert together.append_lines(3, "\n".join(lines[3:]))
    for number, line in enumerate(lines):
        assert one.append_line(number, line)
        point = parse(line)
        reading = to_reading(point, tick or told_by_size(point.time), Limits())
        assert reading is not None
        other.append_point(stream_id(point, "{measurement}"), reading, number)
    other.freeze()
    for columns in (one.freeze(), together.freeze()):
        assert [repr(columns.reading(row)) for row in range(5)] == [repr(other.reading(row)) for row in range(5)]
        assert (columns.stream_ids, columns.lines) == (other.stream_ids, other.lines)


def test_streams_are_in_the_order_of_their_first_lines() -> None:
    columns = PointColumns(Limits())
    assert columns.append_lines(1, "\n".join(f"m,t={n % 40} f=1" for n in range(80)))
    assert columns.freeze().stream_ids == tuple(f"m,t={n}" for n in range(40))


@pytest.mark.parametrize(
    "line", ["m,t f=1", "m, f=1", ",t=x f=1", "m f=1,f=2", "m f=1e75", 'm f="x"', "m f=t", r"m\,a f=1", "m f=1  17"]
)
def test_lines_that_are_not_plain_are_left_to_the_parser(line: str) -> None:
    columns = PointColumns(Limits())
    assert not columns.append_line(1, line)
    assert not len(columns.freeze())
