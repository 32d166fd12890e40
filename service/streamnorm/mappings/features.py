"""The features of a reading: the numbers in a parsed document, named by where they stand.

Rules:

1. Members of objects become `a.b`, elements of arrays `a.0`; an array of numbers that `channels` names stays whole.
2. An object that has one of the `unwrap` members is what that member is: `{"temp": {"value": 21.4, "unit": "°C"}}`.
3. With `pairs` each element of an array names its value: `[{"name": "temp", "value": 21.4}]`.
4. Nulls are left out; texts are values where `states` or `strings` say so, and are left out otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from streamnorm.mappings.numbers import number_in, state_of
from streamnorm.mappings.pointers import Path, find, members

#: Pointers that are tried one after the other.
Pointers = tuple[Path, ...]
#: Names whose answer to `include` and `exclude` is remembered.
REMEMBERED = 4096
#: Documents nested more deeply are no device's.
MAX_DEPTH = 32


class Pairs(NamedTuple):
    """Where an element holds its value's name, the value, and perhaps its time."""

    name: Pointers
    value: Pointers
    time: Pointers = ()


class Leaf(NamedTuple):
    """A value in a document: its path below the root, its name, and the place of its own time, if it has one."""

    path: Path
    name: str
    value: Any
    stamp: Any = None


@dataclass(frozen=True)
class Selection:
    """Which values are features, and what texts mean."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    strings: Literal["number", "drop"] = "drop"
    states: Mapping[str, float] = field(default_factory=dict)
    unwrap: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    pairs: Pairs | None = None

    def chooser(self) -> Callable[[str], bool]:
        """Build the test of names by `include` and `exclude`."""

        @lru_cache(REMEMBERED)
        def chosen(name: str) -> bool:
            return _any(name, self.include) and not _any(name, self.exclude)

        return chosen

    def leaves(self, root: Any, prefix: str, skip: Collection[Path], at: Path) -> Iterator[Leaf]:
        """Yield the values below a root, which stands `at` a path; `prefix` goes before names, `skip` is left out."""
        if self.pairs is not None and isinstance(root, (list, dict)):
            yield from self._paired(root, prefix, at)
        else:
            yield from self._below(root, prefix, skip, at)

    def number(self, value: Any) -> float | list[Any] | None:
        """Return the number of a value, NaN where it is missing; None where it has none.

        A null is none, like a text: which of a device's nulls stand for numbers cannot be known.
        """
        if isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, list):
            return value
        found = state_of(value, self.states) if isinstance(value, str) else None
        return number_in(value) if found is None and self.strings == "number" and isinstance(value, str) else found

    def _paired(self, root: Any, prefix: str, at: Path) -> Iterator[Leaf]:
        assert self.pairs is not None  # noqa: S101 - the caller looked
        for place, element in members(root):
            name = first(element, self.pairs.name)
            value = first(element, self.pairs.value)
            stamp = first(element, self.pairs.time)
            if name is not None and value is not None and isinstance(name[1], (str, int)):
                path = (*at, place, *value[0])
                for leaf in self._below(value[1], _joined(prefix, str(name[1])), (), path):
                    yield leaf._replace(stamp=None if stamp is None else stamp[1])

    def _below(self, value: Any, name: str, skip: Collection[Path], path: Path) -> Iterator[Leaf]:
        if path in skip or len(path) > MAX_DEPTH:
            return
        if isinstance(value, dict):
            inner = next((member for member in self.unwrap if member in value), None)
            if inner is not None and name:
                yield from self._below(value[inner], name, skip, (*path, inner))
                return
        elif not isinstance(value, list) or (name and _any(name, self.channels)):
            yield Leaf(path, name, value)
            return
        for member, each in members(value):
            yield from self._below(each, _joined(name, member), skip, (*path, member))


def first(document: Any, pointers: Pointers) -> tuple[Path, Any] | None:
    """Return the first place that one of several pointers leads to, and its value; None if none does."""
    for pointer in pointers:
        for found in find(document, pointer):
            return found.path, found.value
    return None


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
