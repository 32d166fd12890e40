"""The topics of readings: `sensors/{stream}/raw`, or `sensors/{stream}/{feature}` with one topic per feature."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from streamnorm.errors import InvalidConfiguration
from streamnorm.formats.ids import stream_id_of
from streamnorm.formats.payload import DEFAULT_FEATURE
from streamnorm.formats.topics import TopicFilter

STREAM, REST = "{stream}", "{stream...}"


class Match(NamedTuple):
    """The stream and feature that a topic names."""

    stream: str
    feature: str


class TopicTemplate(TopicFilter):
    """A template to subscribe to.

    >>> TopicTemplate("sensors/{stream}/{feature}").match("sensors/living room/temp")
    Match(stream='living room', feature='temp')
    >>> TopicTemplate("sensors/{stream...}").match("sensors/attic/lamp")
    Match(stream='attic~1lamp', feature='value')

    Raises:
        InvalidConfiguration: the template names no stream, or is not a valid MQTT filter.

    """

    def __init__(self, template: str) -> None:
        try:
            super().__init__(template)
        except ValueError as error:
            raise InvalidConfiguration.at("/mqtt_topics", str(error)) from None
        if "stream" not in self.names or not {*self.names} <= {"stream", "feature"} or "{feature...}" in template:
            detail = f"must have one level {STREAM} or {REST}, may have one {{feature}}, and no others"
            raise InvalidConfiguration.at("/mqtt_topics", f"the topic {template!r:.200} {detail}")

    def match(self, topic: str) -> Match | None:
        """Return the stream and the feature of a topic; None if it does not match the template."""
        levels = self.levels_of(topic)
        if levels is None:
            return None
        feature = unicodedata.normalize("NFC", levels.get("feature") or DEFAULT_FEATURE)
        return Match(stream_id_of(levels["stream"]), feature)


def filled(template: str, stream: str) -> str:
    """Return the topic of a stream; {stream...} restores its original levels.

    >>> filled("sensors/{stream}/normalized", "attic~1lamp"), filled("normalized/{stream...}", "attic~1lamp")
    ('sensors/attic~1lamp/normalized', 'normalized/attic/lamp')
    """
    fit = stream.replace("%", "%25").replace("+", "%2B").replace("#", "%23")  # wildcards are invalid in topics
    levels = fit.replace("~1", "/").replace("~0", "~")
    return template.replace(REST, levels).replace(STREAM, fit)
