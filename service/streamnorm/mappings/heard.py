"""Which streams a mapping made readings of, for people who ask why."""

from __future__ import annotations

from collections.abc import Iterable

#: Streams remembered: as many as are resident by default.
REMEMBERED = 100_000


class Heard:
    """The `topics` of the last messages by stream; empty where a message came without one, as over HTTP.

    >>> heard = Heard(most=1)
    >>> heard.note("zigbee2mqtt/door", ["door"])
    >>> heard.note("zigbee2mqtt/roof", ["roof"])
    >>> heard.topics
    {'roof': 'zigbee2mqtt/roof'}
    """

    def __init__(self, most: int = REMEMBERED) -> None:
        self.topics: dict[str, str] = {}
        self._most = most

    def note(self, topic: str, streams: Iterable[str]) -> None:
        """Remember that a message with this `topic` became readings of these `streams`."""
        for stream in streams:
            if stream not in self.topics and len(self.topics) >= self._most:
                del self.topics[next(iter(self.topics))]
            self.topics[stream] = topic
