"""JSON pointers (RFC 6901) with wildcards: `/*` is any member, `/{device}` also keeps its name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from streamnorm.engine.validation import escape_pointer

Path = tuple[str, ...]

_NAMED = re.compile(r"\{([^{}/]+)\}")


class Found(NamedTuple):
    """A place in a document: its path, its value, and the names of the members that wildcards matched."""

    path: Path
    value: Any
    names: Mapping[str, str]


def parse_pointer(text: str) -> Path:
    """Split a pointer into its parts.

    >>> parse_pointer("/a~1b/c"), parse_pointer("")
    (('a/b', 'c'), ())

    Raises:
        ValueError: it is not empty, and does not begin with a slash.

    """
    if text and not text.startswith("/"):
        message = f"{text!r} is no JSON pointer: it must begin with /, such as /data/temperature"
        raise ValueError(message)
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


def written(path: Sequence[str]) -> str:
    """Write a path as a pointer."""
    return "".join(f"/{escape_pointer(part)}" for part in path)


def find(document: Any, pointer: Path, at: Path = ()) -> Iterator[Found]:
    """Yield the places in a document that a pointer leads to; their paths begin with `at`.

    >>> [found.value for found in find({"a": [1, 2]}, ("a", "*"))]
    [1, 2]
    >>> next(find({"roof": {"t": 1}}, ("{device}", "t")))
    Found(path=('roof', 't'), value=1, names={'device': 'roof'})
    """
    places = [Found(at, document, {})]
    for part in pointer:
        places = [deeper for place in places for deeper in _members(place, part)]
    yield from places


def members(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the members of an object by their names, the elements of an array by their places; none of other values."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((str(index), element) for index, element in enumerate(value))


def _members(place: Found, part: str) -> Iterator[Found]:
    path, value, names = place
    named = _NAMED.fullmatch(part)
    if isinstance(value, dict) and part in value:
        yield Found((*path, part), value[part], names)
    elif named or part == "*":
        for name, member in members(value):
            yield Found((*path, name), member, {**names, named[1]: name} if named else names)
    elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
        yield Found((*path, part), value[int(part)], names)
