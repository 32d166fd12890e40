"""Topic filters of MQTT with named levels: `sensors/{stream}/raw`; `{name...}` is all that is left."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

#: MQTT's own limit (MQTT 5.0, 1.5.4)
MAX_TOPIC_BYTES = 65_535
#: MQTT's own limit of a subscription identifier (MQTT 5.0, 3.8.2.1.2)
MAX_IDENTIFIER = 268_435_455
_SHARED = re.compile(r"\$share/(?P<group>[^/+#]+)/(?P<filter>.+)", re.DOTALL)
_NAMED = re.compile(r"\{(?P<name>[a-z][a-z0-9_]*)(?P<rest>\.\.\.)?\}")


class TopicFilter:
    """A filter to subscribe to, with names for some of its levels.

    >>> TopicFilter("$share/group/sensors/{stream}/raw").filter
    '$share/group/sensors/+/raw'
    >>> TopicFilter("zigbee2mqtt/{device...}").levels_of("zigbee2mqtt/attic/lamp")
    {'device': 'attic/lamp'}
    >>> TopicFilter("home/{room}/#").levels_of("home/attic")
    {'room': 'attic'}

    Raises:
        ValueError: it is not a valid filter.

    """

    def __init__(self, template: str) -> None:
        self.template = template
        shared = _SHARED.fullmatch(template)
        levels = (shared["filter"] if shared else template).split("/")
        self._check(levels, shared=shared is not None)
        prefix = f"$share/{shared['group']}/" if shared else ""
        #: the names of levels, in their order
        self.names = tuple(match["name"] for match in map(_NAMED.fullmatch, levels) if match)
        if len(set(self.names)) < len(self.names):
            raise self._wrong("names a level twice")
        #: the topic filter to subscribe to
        self.filter = prefix + "/".join(_wildcard(level) for level in levels)
        #: the levels that are matched; `#` is the last one
        self.levels = tuple(self.filter.removeprefix(prefix).split("/"))
        #: the subscription identifier, the same in every run of the service
        self.identifier = zlib.crc32(self.filter.encode()) % MAX_IDENTIFIER + 1
        self._pattern = re.compile(_expression(levels), re.DOTALL)

    def levels_of(self, topic: str) -> dict[str, str] | None:
        """Return the named levels of a topic; None if it does not match."""
        match = self._pattern.fullmatch(topic)
        return None if match is None else match.groupdict()

    def matches(self, topic: str) -> bool:
        """Return whether a topic matches."""
        return self._pattern.fullmatch(topic) is not None

    def covers(self, other: TopicFilter) -> bool:
        """Return whether this filter matches every topic that another one matches."""
        if self.filter.startswith("$share/") or other.filter.startswith("$share/"):
            return self.filter == other.filter
        for index, own in enumerate(self.levels):
            if own == "#":
                return True
            if index >= len(other.levels):
                return False
            theirs = other.levels[index]
            if theirs == "#" or own not in {"+", theirs}:
                return False
        return len(self.levels) == len(other.levels)

    def _check(self, levels: Sequence[str], *, shared: bool) -> None:
        named = [_NAMED.fullmatch(level) for level in levels]
        if any(match is None and {*"{}"} & {*level} for level, match in zip(levels, named, strict=True)):
            raise self._wrong("must have names such as {device} as whole levels, in small letters")
        if any(level == "#" or (match and match["rest"]) for level, match in zip(levels[:-1], named, strict=False)):
            raise self._wrong("cannot have {name...} or # before its last level")
        if any(level not in {"+", "#"} and ("+" in level or "#" in level) for level in levels):
            raise self._wrong("has a + or # that is not a whole level")
        if not self.template or "\0" in self.template or len(self.template.encode()) > MAX_TOPIC_BYTES:
            raise self._wrong("is no topic of MQTT")
        if self.template.startswith("$share/") and not shared:
            raise self._wrong("must be $share/GROUP/FILTER, where GROUP has no + or #")

    def _wrong(self, detail: str) -> ValueError:
        return ValueError(f"the topic {self.template!r:.200} {detail}")


Filter = TypeVar("Filter", bound=TopicFilter)


def subscriptions(filters: Iterable[Filter]) -> list[Filter]:
    """Return the filters to subscribe to: those that no other one covers.

    >>> [each.filter for each in subscriptions(map(TopicFilter, ["a/{stream}/raw", "a/{stream}/{feature}"]))]
    ['a/+/+']
    """
    chosen: list[Filter] = []
    for each in filters:
        if not any(other.covers(each) for other in chosen):
            chosen = [other for other in chosen if not each.covers(other)] + [each]
    return chosen


def _wildcard(level: str) -> str:
    match = _NAMED.fullmatch(level)
    return level if match is None else "#" if match["rest"] else "+"


def _expression(levels: Sequence[str]) -> str:
    if levels[-1] == "#":  # the parent level belongs to it (MQTT 5.0, 4.7.1.2)
        return _expression(levels[:-1]) + "(?:/.*)?" if levels[:-1] else ".*"
    return "/".join(_part(level) for level in levels)


def _part(level: str) -> str:
    match = _NAMED.fullmatch(level)
    if match is not None:
        return f"(?P<{match['name']}>{'.+' if match['rest'] else '[^/]+'})"
    return "[^/]*" if level == "+" else re.escape(level)
