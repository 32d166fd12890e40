r"""InfluxDB's line protocol: `measurement,tag=value field=1.5,other=2i 1700000000000000000`.

In measurements commas and spaces are escaped by a backslash, in tags and field names equals signs too; text values
stand in quotes, where quotes and backslashes are escaped, and may go over several lines.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Reading, parse_reading
from streamnorm.formats.ids import DEFAULT_TEMPLATE, SEPARATORS, escaped, shortened

FieldValue: TypeAlias = float | int | bool | str

#: nanoseconds of a tick, by the names that InfluxDB's versions have for it
PRECISIONS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "n": 1,
    "u": 10**3,
    "µ": 10**3,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "nanosecond": 1,
    "microsecond": 10**3,
    "millisecond": 10**6,
    "second": 10**9,
}
#: A text that is never closed would otherwise take in the rest of the body.
MOST_LINES = 64
_PLACES = re.compile(r"\{([^{}]*)\}")
_PUNCTUATION = ".:~-"

_MEASUREMENT = re.compile(r"((?:\\[, ]|[^, ])+)")
_KEY = re.compile(r"((?:\\[,= ]|[^,= ])+)=")
_TAG = re.compile(r"((?:\\[,= ]|[^,= ])+)")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_BARE = re.compile(r"([^, ]+)")
LONGEST_TIME = 19
_TIME = re.compile(rf"-?\d{{1,{LONGEST_TIME}}}")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
WHOLE = re.compile(r"([+-]?\d{1,20})[iu]")
_ESCAPED = re.compile(r"\\([,= ])")
_BOOLEANS = dict.fromkeys(("t", "T", "true", "True", "TRUE"), True) | dict.fromkeys(
    ("f", "F", "false", "False", "FALSE"), False
)


class Malformed(ValueError):
    """A line is no line protocol."""


class Unclosed(Malformed):
    """A text value has no end: it may go on in the next line."""


@dataclass(frozen=True, slots=True)
class Point:
    """One line: `time` is in ticks of the write's precision, None where the line has none."""

    measurement: str
    tags: tuple[tuple[str, str], ...]
    fields: dict[str, FieldValue]
    time: int | None = None

    def numbers(self) -> dict[str, float]:
        """Return the fields that can be normalized: numbers, and booleans as 0 and 1."""
        return {name: float(value) for name, value in self.fields.items() if not isinstance(value, str)}


class Parsed(NamedTuple):
    """A point or why there is none, and the number of its first line."""

    line: int
    point: Point | None
    detail: str = ""


@dataclass(slots=True)
class PointReading(Reading):
    """A reading that came as a point, and the point: who forwards it keeps its name, its tags and its exact time."""

    #: its time, if it has one, in nanoseconds
    point: Point | None = None


def parsed(text: str | Iterator[tuple[int, str]], taken: Callable[[int, str], bool] | None = None) -> Iterator[Parsed]:
    """Parse a text, or its lines with their numbers; empty lines and comments are passed over.

    So is a malformed line, which is told, and lines for which `taken`, called with their number and text, returns that
    it has taken them.
    """
    lines = enumerate(text.split("\n"), 1) if isinstance(text, str) else text
    again: deque[tuple[int, str]] = deque()
    while (numbered := again.popleft() if again else next(lines, None)) is not None:
        first, line = numbered[0], numbered[1].strip()
        if not line or line.startswith("#") or (taken is not None and taken(first, line)):
            continue
        more: list[tuple[int, str]] = []
        try:
            while True:
                try:
                    yield Parsed(first, parse(line))
                    break
                except Unclosed:
                    own = _to_next_quote(again, lines, MOST_LINES - len(more))
                    more += own
                    if not own or '"' not in own[-1][1]:
                        raise
                    line = "\n".join([line, *(text for _, text in own)])
        except Malformed as error:
            again.extendleft(reversed(more))
            yield Parsed(first, None, str(error))


def _to_next_quote(again: deque[tuple[int, str]], lines: Iterator[tuple[int, str]], most: int) -> list[tuple[int, str]]:
    """Take lines up to the first one in which a text may end."""
    found: list[tuple[int, str]] = []
    while len(found) < most and (numbered := again.popleft() if again else next(lines, None)) is not None:
        found.append(numbered)
        if '"' in numbered[1]:
            break
    return found


def parse(line: str) -> Point:
    r"""Parse one line.

    >>> parse(r'weather,place=north\ sea temp=21.5,wet=t,note="calm" 1700000000')
    Point(measurement='weather', tags=(('place', 'north sea'),), fields={'temp': 21.5, 'wet': True, 'note': 'calm'}, time=1700000000)

    Raises:
        Malformed: telling what is wrong, and where.

    """  # noqa: E501
    match = _MEASUREMENT.match(line)
    if match is None:
        raise _malformed(line, 0, "a measurement")
    measurement, at = _ESCAPED.sub(r"\1", match[1]), match.end()
    tags: list[tuple[str, str]] = []
    while line[at : at + 1] == ",":
        name, at = _take(_KEY, line, at + 1, "a tag and =")
        tag, at = _take(_TAG, line, at, "the value of a tag")
        tags.append((_ESCAPED.sub(r"\1", name), _ESCAPED.sub(r"\1", tag)))
    at = _spaces(line, at, "fields")
    fields: dict[str, FieldValue] = {}
    while True:
        name, at = _take(_KEY, line, at, "a field and =")
        value, at = _value(line, at)
        fields[_ESCAPED.sub(r"\1", name)] = value
        if line[at : at + 1] != ",":
            break
        at += 1
    rest = line[at:].strip()
    if rest and (line[at] != " " or not _TIME.fullmatch(rest)):
        raise _malformed(line, at, "a time")
    return Point(measurement, tuple(sorted(tags)), fields, int(rest) if rest else None)


def written(point: Point, fields: Mapping[str, FieldValue]) -> str:
    r"""Write a point with other fields.

    >>> written(parse("weather,place=a\\ b temp=21.5 17"), {"temp": -0.5, "note": 'so "so"'})
    'weather,place=a\\ b temp=-0.5,note="so \\"so\\"" 17'
    """
    head = re.sub(r"([, ])", r"\\\1", point.measurement)
    tags = "".join(f",{_key(name)}={_key(value)}" for name, value in point.tags)
    body = ",".join(f"{_key(name)}={_text(value)}" for name, value in fields.items())
    return f"{head}{tags} {body}" + ("" if point.time is None else f" {point.time}")


def stream_id(point: Point, template: str = DEFAULT_TEMPLATE) -> str:
    """Name the stream of a point: `{measurement}`, `{tags}` (`,name=value` of each) or a tag's `{name}`.

    `{tag_values}` is `.value` of each tag, which merges points whose tags differ in their names only.
    Punctuation around a tag that a point does not have goes with it, at the beginning and at the end.

    >>> stream_id(parse("cpu,host=a,core=0 idle=97"))
    'cpu,core=0,host=a'
    >>> (
    ...     stream_id(parse("cpu,host=a/b,core=0 idle=97"), "{host}-{measurement}"),
    ...     stream_id(parse("cpu idle=97"), "{host}-{measurement}"),
    ... )
    ('a~1b-cpu', 'cpu')

    Raises:
        Malformed: nothing is left of it.

    """
    separators = SEPARATORS if "{tags}" in template else ""
    known = {name: escaped(value) for name, value in point.tags} | {
        "measurement": escaped(point.measurement, separators),
        "tags": "".join(f",{escaped(name, SEPARATORS)}={escaped(value, SEPARATORS)}" for name, value in point.tags),
        "tag_values": "".join(f".{escaped(value)}" for _, value in point.tags),
    }
    pieces = _PLACES.split(template)  # texts and places in turn
    filled = [known.get(piece, "") if place % 2 else piece for place, piece in enumerate(pieces)]
    places = [place for place in range(1, len(filled), 2) if filled[place]] or [len(filled)]
    before, after = "".join(filled[: places[0]]), "".join(filled[places[-1] + 1 :])
    found = before.lstrip(_PUNCTUATION) + "".join(filled[places[0] : places[-1] + 1]) + after.rstrip(_PUNCTUATION)
    try:
        return shortened(found.replace("/", "~1"))
    except ValueError as error:
        raise Malformed(str(error)) from None


def to_reading(point: Point, tick: int, limits: Limits) -> PointReading | None:
    """Build a reading within `limits` of a `point` with times in ticks of `tick` nanoseconds; None without a number."""
    numbers = point.numbers()
    if not numbers:
        return None
    one = parse_reading(numbers, limits, pointer="")
    exact = None if point.time is None else point.time * tick
    timestamp = None if exact is None else exact / 1e9
    return PointReading(one.names, one.values, timestamp=timestamp, point=replace(point, time=exact))


def told_by_size(time: int | None) -> int:
    """Return the nanoseconds of a tick that a time is in: seconds to nanoseconds, as InfluxDB 3 tells them apart.

    >>> told_by_size(1_795_338_000), told_by_size(1_795_338_000_000)
    (1000000000, 1000000)
    """
    size = abs(time or 0)
    return next((tick for tick, most in ((10**9, 5e9), (10**6, 5e12), (10**3, 5e15)) if size < most), 1)


def _take(pattern: re.Pattern[str], line: str, at: int, what: str) -> tuple[str, int]:
    match = pattern.match(line, at)
    if match is None:
        raise _malformed(line, at, what)
    return match[1], match.end()


def _spaces(line: str, at: int, what: str) -> int:
    start = at
    while line[at : at + 1] == " ":
        at += 1
    if at == start:
        raise _malformed(line, at, what)
    return at


def _value(line: str, at: int) -> tuple[FieldValue, int]:
    if line[at : at + 1] == '"':
        match = _TEXT.match(line, at)
        text, end = (match[1], match.end()) if match else _loosely(line, at)
        return re.sub(r'\\(["\\])', r"\1", text), end
    bare, end = _take(_BARE, line, at, "the value of a field")
    if bare in _BOOLEANS:
        return _BOOLEANS[bare], end
    whole = WHOLE.fullmatch(bare)
    if whole:
        return int(whole[1]), end
    if not _NUMBER.fullmatch(bare):
        raise _malformed(line, at, "a number, a boolean or a text in quotes")
    return float(bare), end


def _loosely(line: str, at: int) -> tuple[str, int]:
    """Read a text whose last quote has a backslash before it, which then was meant as one: a path of Windows, say."""
    end = line.rfind('"', at + 1)
    if end < 0:
        message = f"the text that begins at column {at + 1} has no end"
        raise Unclosed(message)
    return line[at + 1 : end], end + 1


def _malformed(line: str, at: int, what: str) -> Malformed:
    found = repr(line[at : at + 20]) if at < len(line) else "the end"
    return Malformed(f"column {at + 1}: expected {what}, found {found}")


def _key(text: str) -> str:
    return re.sub(r"([,= ])", r"\\\1", text)


def _text(value: FieldValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}i"
    if isinstance(value, float):
        return repr(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
