"""Streams as the rules want them, when they are loaded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamnorm.engine.streams.rulebook import Rulebook
    from streamnorm.engine.streams.stream import Stream

log = logging.getLogger(__name__)


def as_ruled(rulebook: Rulebook, stream_id: str, stream: Stream) -> Stream:
    """Return a `stream` of this `stream_id` as a `rulebook` wants it, and log which of its statistics restarted."""
    ruled, reason = rulebook.applied(stream_id, stream)
    if reason is not None:
        log.info("rules: stream %s: %s", stream_id, reason)
    return ruled
