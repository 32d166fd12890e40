"""Topics of MQTT by templates: `sensors/{stream}/raw`, or `sensors/{stream}/{feature}`, a topic a feature."""

from __future__ import annotations

import re
from typing import NamedTuple

from streamnorm.errors import InvalidConfiguration
from streamnorm.formats.ids import fitting
from streamnorm.formats.payload import DEFAULT_FEATURE


class Match(NamedTuple):
    """What a topic tells."""

    stream: str
    feature: str


class Topic:
    """A template to subscribe to.

    >>> Topic("sensors/{stream}/raw").filter
    'sensors/+/raw'
    >>> Topic("sensors/{stream}/{feature}").match("sensors/living room/temp")
    Match(stream='living_room', feature='temp')

    Raises:
        InvalidConfiguration: it has no {stream}, or something else than a whole level is replaced.

    """

    def __init__(self, template: str) -> None:
        levels = template.split("/")
        named = [level for level in levels if "{" in level or "}" in level]
        if not set(named) <= {"{stream}", "{feature}"} or named.count("{stream}") != 1 or len(set(named)) < len(named):
            detail = f"the topic {template!r} must have one level {{stream}}, may have one {{feature}}, and no others"
            raise InvalidConfiguration.at("/mqtt_topics", detail)
        self.template = template
        self.filter = "/".join("+" if level in named else level for level in levels)
        patterns = {"{stream}": "(?P<stream>[^/]+)", "{feature}": "(?P<feature>[^/]+)", "+": "[^/]+", "#": ".*"}
        self._pattern = re.compile("/".join(patterns.get(level) or re.escape(level) for level in levels))

    def match(self, topic: str) -> Match | None:
        """Tell the stream, and the feature, of a topic; None if it is none of the template's.

        Raises:
            ValueError: it is, but its stream can have no id.

        """
        found = self._pattern.fullmatch(topic)
        if found is None:
            return None
        return Match(fitting(found["stream"]), found.groupdict().get("feature") or DEFAULT_FEATURE)


def filled(template: str, stream: str) -> str:
    """Return the topic of a stream."""
    return template.replace("{stream}", stream)
