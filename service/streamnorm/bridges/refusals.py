"""Rejected and dropped messages of a bridge: counted, and logged once a minute per reason with an example."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from time import monotonic

#: Seconds between log lines of one reason.
LOG_INTERVAL = 60.0
#: Limit of a logged example in characters.
EXAMPLE_LENGTH = 300


class Refusals:
    """Counters by label (a topic filter, a receiver) and reason, both from small sets.

    `log` receives the messages, which begin with `title`; `clock` returns monotonic seconds.
    """

    def __init__(self, log: logging.Logger, title: str, clock: Callable[[], float] = monotonic) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._log = log
        self._title = title
        self._clock = clock
        #: by reason: when it was logged last, and the count since then
        self._logged: dict[str, tuple[float, int]] = {}

    def add(self, reason: str, example: str, *, label: str = "", count: int = 1) -> None:
        """Count `count` rejections for a `reason` under a `label`, and log the `example` if one is due."""
        self.counts[label, reason] += count
        now = self._clock()
        logged, since = self._logged.get(reason, (float("-inf"), 0))
        since += count
        if now - logged >= LOG_INTERVAL:
            total = sum(number for (_, known), number in self.counts.items() if known == reason)
            shown = example if len(example) <= EXAMPLE_LENGTH else f"{example[:EXAMPLE_LENGTH]}…"
            self._log.warning("%s: %d %s (%d since the start), such as %s", self._title, since, reason, total, shown)
            logged, since = now, 0
        self._logged[reason] = logged, since
