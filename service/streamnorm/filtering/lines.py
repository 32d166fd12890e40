"""What filters of lines have in common: the names of members, and what a filter is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from streamnorm.filtering.tally import Tally
from streamnorm.formats.ids import DEFAULT_TEMPLATE

Format = Literal["ndjson", "line"]


class Names(NamedTuple):
    """How lines say what they are of; `suffix` keeps the raw fields and names the normalized ones beside them.

    Of flat objects: `strings` that are numbers are values, `states` gives texts a value, `missing` texts mean none.
    """

    stream: str = "stream"
    time: str = "timestamp"
    template: str = DEFAULT_TEMPLATE
    suffix: str = ""
    strings: bool = False
    states: Mapping[str, float] = MappingProxyType({})
    missing: frozenset[str] = frozenset()


class Filter(Protocol):
    """Takes a line, gives the line to write; None while it is `waiting` for the line's end."""

    @property
    def waiting(self) -> bool: ...  # noqa: D102

    #: whether blank lines and those that begin as a comment are a part of what is filtered
    every_line: bool
    tally: Tally

    def __call__(self, line: str) -> str | None: ...  # noqa: D102


def guessed(line: str) -> Format:
    """Tell the format by a first line."""
    return "ndjson" if line.lstrip().startswith("{") else "line"
