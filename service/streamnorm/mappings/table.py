"""The table of a mapping in TOML, checked key by key; errors name the mapping, the key, and what would help."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from collections.abc import Mapping as AnyMapping
from typing import Any
from zoneinfo import ZoneInfo

from streamnorm.engine.limits import LARGEST_VALUE
from streamnorm.engine.validation import abbreviate
from streamnorm.errors import Fault, InvalidConfiguration
from streamnorm.formats.topics import TopicFilter
from streamnorm.mappings.bodies.documents import FORMATS
from streamnorm.mappings.features import Pairs, Pointers, Selection
from streamnorm.mappings.mapping import Mapping
from streamnorm.mappings.numbers import MISSING
from streamnorm.mappings.pointers import parse_pointer
from streamnorm.mappings.templates import Template

STRINGS = ("drop", "number")


def build(table: AnyMapping[str, Any]) -> Mapping:
    """Build a mapping of a table that no preset stands behind any more.

    Raises:
        InvalidConfiguration: naming every wrong key.

    """
    name = table.get("name")
    shown = repr(name) if isinstance(name, str) and name else "without a name"
    made: dict[str, Any] = {}
    faults: list[Fault] = []
    for key, value in table.items():
        check = KEYS.get(key)
        if check is None:
            near = difflib.get_close_matches(key, KEYS, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(KEYS)}"
            faults.append(Fault(f"/{key}", f"mapping {shown}: is unknown{hint}"))
            continue
        try:
            made[key] = check(value)
        except ValueError as error:
            faults.append(Fault(f"/{key}", f"mapping {shown}: {error}"))
    if "name" not in table:
        faults.append(Fault("/name", "a mapping must have a name, or a preset"))
    if faults:
        raise InvalidConfiguration.of(faults)
    chosen = {key: made.pop(key) for key in Selection.__dataclass_fields__ if key in made}
    return Mapping(**made, selection=Selection(**chosen))


def text(value: Any) -> str:
    """Check a text.

    Raises:
        ValueError: it is none.

    """
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {abbreviate(value)}")  # noqa: TRY004 - collected as a fault
    return value


def name_of(value: Any) -> str:
    """Check the name of a mapping, which stands in addresses.

    Raises:
        ValueError: it cannot.

    """
    name = text(value)
    if not name or len(name) > 64 or not all(char.isalnum() or char in "._-" for char in name):  # noqa: PLR2004
        raise ValueError(f"must be 1 to 64 letters, digits and . _ -, not {name!r:.80}")
    return name


def texts(value: Any) -> tuple[str, ...]:
    """Check a list of texts; one alone stands for itself.

    Raises:
        ValueError: it is none.

    """
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        raise ValueError(f'must be a list of texts, such as ["*.unit"], not {abbreviate(value)}')  # noqa: TRY004
    return tuple(text(each) for each in value)


def topics(value: Any) -> tuple[TopicFilter, ...]:
    """Check filters of topics."""
    return tuple(TopicFilter(each) for each in texts(value))


def pointers(value: Any) -> Pointers:
    """Check one JSON pointer, or several of which the first that is there counts."""
    return tuple(parse_pointer(each) for each in texts(value))


def states(value: Any) -> dict[str, float]:
    """Check the values of words.

    Raises:
        ValueError: a word has none.

    """
    if not isinstance(value, AnyMapping):
        raise ValueError(f"must be a table such as {{ ON = 1, OFF = 0 }}, not {abbreviate(value)}")  # noqa: TRY004
    found: dict[str, float] = {}
    for word, number in value.items():
        if number != MISSING and (isinstance(number, str) or not isinstance(number, (int, float))):
            raise ValueError(f'the state {word!r} must be a number or "missing", not {abbreviate(number)}')
        if number != MISSING and abs(number) > LARGEST_VALUE:
            raise ValueError(f"the state {word!r} is not within ±{LARGEST_VALUE:g}")
        found[word] = math.nan if number == MISSING else float(number)
    return {word.lower(): number for word, number in found.items()} | found


def pairs(value: Any) -> Pairs:
    """Check where pairs have their names and values.

    Raises:
        ValueError: one is not told.

    """
    if not isinstance(value, AnyMapping) or not {"name", "value"} <= value.keys() <= {"name", "value", "time"}:
        raise ValueError('must be a table such as { name = "/name", value = "/value" }, perhaps with time')
    return Pairs(**{key: pointers(each) for key, each in value.items()})


def zone(value: Any) -> ZoneInfo:
    """Check the name of a time zone.

    Raises:
        ValueError: it is unknown.

    """
    try:
        return ZoneInfo(text(value))
    except (OSError, ValueError, KeyError):
        raise ValueError(f"{value!r:.60} is no time zone; it must be such as Europe/Berlin or UTC") from None


def one_of(*known: str) -> Callable[[Any], str]:
    """Return a check that a text is one of several."""

    def check(value: Any) -> str:
        if value not in known:
            raise ValueError(f"must be {' or '.join(known)}, not {abbreviate(value)}")
        return text(value)

    return check


def template(value: Any) -> Template:
    """Check a template."""
    return Template(text(value))


#: the keys of a mapping, and the check of each; `preset` is resolved before
KEYS: dict[str, Callable[[Any], Any]] = {
    "name": name_of,
    "topics": topics,
    "ignore_topics": texts,
    "format": one_of(*FORMATS),
    "each": pointers,
    "root": pointers,
    "stream": template,
    "feature": template,
    "time": pointers,
    "time_zone": zone,
    "seq": pointers,
    "pairs": pairs,
    "include": texts,
    "exclude": texts,
    "strings": one_of(*STRINGS),
    "states": states,
    "unwrap": texts,
    "channels": texts,
    "hint": text,
}
