"""Templates of stream ids and feature names: texts with fields in braces.

Rules:

1. `{device}` is the level of the topic that `topics` names so, or the query's parameter of that name.
2. `{/data/id}` is what the pointer leads to; of an object, all its members as `,name=value`, as in line protocol.
3. `{a|/b|}` is the first of several that is there; an empty alternative allows that none is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from streamnorm.formats.ids import escaped
from streamnorm.mappings.pointers import Found, Path, parse_pointer

_FIELD = re.compile(r"\{([^{}]*)\}")

#: Finds a pointer's place in a message.
Lookup = Callable[[Path], Found | None]


class Absent(ValueError):
    """A template's field is not in the message; `field` is its text."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{{{field}}} is not in the message")
        self.field = field


class Template:
    """A template.

    >>> template = Template("{site}.{/id|/name}")
    >>> place = Found(("id",), 7, {})
    >>> template.filled({"site": "roof/2"}, {("id",): place}.get)
    'roof~12.7'

    Raises:
        ValueError: it has an unbalanced brace, or a field that is no pointer.

    """

    def __init__(self, text: str) -> None:
        self.text = text
        if {*"{}"} & {*_FIELD.sub("", text)}:
            message = f"{text!r} has a brace without its other one"
            raise ValueError(message)
        #: each field, as its alternatives: names, pointers, or None for nothing
        self.fields: list[list[str | Path | None]] = [
            [_alternative(each) for each in field.split("|")] for field in _FIELD.findall(text)
        ]

    @property
    def pointers(self) -> list[Path]:
        """The pointers of all fields."""
        return [each for field in self.fields for each in field if isinstance(each, tuple)]

    def filled(self, variables: Mapping[str, str], lookup: Lookup) -> str:
        """Fill the template with `variables` (levels of the topic, query parameters) and what `lookup` finds.

        What is filled in is escaped as in all ids, so that no two become one.

        Raises:
            Absent: a field is not in the message.

        """
        fields = iter(self.fields)

        def fill(match: re.Match[str]) -> str:
            for alternative in next(fields):
                if alternative is None:
                    return ""
                if isinstance(alternative, tuple):
                    text = _told(lookup(alternative))
                else:
                    text = escaped(variables.get(alternative, ""))
                if text:
                    return text
            raise Absent(match[1])

        return _FIELD.sub(fill, self.text).strip(".")


def _alternative(text: str) -> str | Path | None:
    return parse_pointer(text) if text.startswith("/") else text or None


def _told(found: Found | None) -> str:
    if found is None or found.value is None:
        return ""
    if isinstance(found.value, dict):
        return "".join(
            f",{escaped(name, ',=')}={escaped(str(value), ',=')}" for name, value in sorted(found.value.items())
        )
    if isinstance(found.value, float) and found.value.is_integer():
        return str(int(found.value))
    return "" if isinstance(found.value, list) else escaped(str(found.value))
