"""MQTT topic templates: `sensors/{stream}/raw`, or `sensors/{stream}/{feature}` with one topic per feature."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from streamnorm.errors import InvalidConfiguration
from streamnorm.formats.ids import stream_id_of
from streamnorm.formats.payload import DEFAULT_FEATURE

#: MQTT's own limit (MQTT 5.0, 1.5.4)
MAX_TOPIC_BYTES = 65_535
#: MQTT's own limit of a subscription identifier (MQTT 5.0, 3.8.2.1.2)
MAX_IDENTIFIER = 268_435_455
STREAM, REST, FEATURE = "{stream}", "{stream...}", "{feature}"
_SHARED = re.compile(r"\$share/(?P<group>[^/+#]+)/(?P<filter>.+)", re.DOTALL)
_PATTERNS = {STREAM: "(?P<stream>[^/]+)", FEATURE: "(?P<feature>[^/]+)", "+": "[^/]*"}


class Match(NamedTuple):
    """The stream and feature that a topic names."""

    stream: str
    feature: str


class TopicTemplate:
    """A template to subscribe to.

    >>> TopicTemplate("$share/group/sensors/{stream}/raw").filter
    '$share/group/sensors/+/raw'
    >>> TopicTemplate("sensors/{stream}/{feature}").match("sensors/living room/temp")
    Match(stream='living room', feature='temp')
    >>> TopicTemplate("sensors/{stream...}").match("sensors/attic/lamp")
    Match(stream='attic~1lamp', feature='value')

    Raises:
        InvalidConfiguration: the template names no stream, or is not a valid MQTT filter.

    """

    def __init__(self, template: str) -> None:
        shared = _SHARED.fullmatch(template)
        levels = (shared["filter"] if shared else template).split("/")
        self.template = template
        self._check(levels, shared=shared is not None)
        prefix = f"$share/{shared['group']}/" if shared else ""
        #: the topic filter to subscribe to
        self.filter = prefix + "/".join("#" if level == REST else "+" if "{" in level else level for level in levels)
        #: the levels that are matched; `#` is the last one
        self.levels = tuple(self.filter.removeprefix(prefix).split("/"))
        #: the subscription identifier, the same in every run of the service
        self.identifier = zlib.crc32(self.filter.encode()) % MAX_IDENTIFIER + 1
        self._pattern = re.compile(self._expression(levels), re.DOTALL)

    def match(self, topic: str) -> Match | None:
        """Return the stream and the feature of a topic; None if it does not match the template."""
        match = self._pattern.fullmatch(topic)
        if match is None:
            return None
        feature = match.groupdict().get("feature")
        return Match(stream_id_of(match["stream"]), unicodedata.normalize("NFC", feature or DEFAULT_FEATURE))

    def matches(self, topic: str) -> bool:
        """Return whether a topic matches the template."""
        return self._pattern.fullmatch(topic) is not None

    def covers(self, other: TopicTemplate) -> bool:
        """Return whether this template's filter matches every topic that another one's matches."""
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
        named = [level for level in levels if "{" in level or "}" in level]
        if not set(named) <= {STREAM, REST, FEATURE} or len({STREAM, REST} & set(named)) != 1:
            raise self._wrong(f"must have one level {STREAM} or {REST}, may have one {FEATURE}, and no others")
        if len(set(named)) < len(named):
            raise self._wrong("names a level twice")
        if any(level in {REST, "#"} for level in levels[:-1]):
            raise self._wrong(f"cannot have {REST} or # before its last level")
        if any(level not in {"+", "#"} and ("+" in level or "#" in level) for level in levels):
            raise self._wrong("has a + or # that is not a whole level")
        if "\0" in self.template or len(self.template.encode()) > MAX_TOPIC_BYTES:
            raise self._wrong("is no topic of MQTT")
        if self.template.startswith("$share/") and not shared:
            raise self._wrong("must be $share/GROUP/FILTER, where GROUP has no + or #")

    def _wrong(self, detail: str) -> InvalidConfiguration:
        return InvalidConfiguration.at("/mqtt_topics", f"the topic {self.template!r:.200} {detail}")

    @staticmethod
    def _expression(levels: Sequence[str]) -> str:
        if levels[-1] == REST:
            return "".join(f"{_PATTERNS.get(level) or re.escape(level)}/" for level in levels[:-1]) + "(?P<stream>.+)"
        if levels[-1] == "#":  # the parent level belongs to it (MQTT 5.0, 4.7.1.2)
            return TopicTemplate._expression(levels[:-1]) + "(?:/.*)?"
        return "/".join(_PATTERNS.get(level) or re.escape(level) for level in levels)


def subscriptions(templates: Iterable[TopicTemplate]) -> list[TopicTemplate]:
    """Return the templates to subscribe to: those whose filters no other one covers.

    >>> [each.filter for each in subscriptions(map(TopicTemplate, ["a/{stream}/raw", "a/{stream}/{feature}"]))]
    ['a/+/+']
    """
    chosen: list[TopicTemplate] = []
    for template in templates:
        if not any(other.covers(template) for other in chosen):
            chosen = [other for other in chosen if not template.covers(other)] + [template]
    return chosen


def filled(template: str, stream: str) -> str:
    """Return the topic of a stream; {stream...} restores its original levels.

    >>> filled("sensors/{stream}/normalized", "attic~1lamp"), filled("normalized/{stream...}", "attic~1lamp")
    ('sensors/attic~1lamp/normalized', 'normalized/attic/lamp')
    """
    fit = stream.replace("%", "%25").replace("+", "%2B").replace("#", "%23")  # wildcards are invalid in topics
    levels = fit.replace("~1", "/").replace("~0", "~")
    return template.replace(REST, levels).replace(STREAM, fit)
