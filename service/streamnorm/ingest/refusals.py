"""What was refused or dropped: counted, kept with its last examples, and logged once a minute per reason."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from time import monotonic, time
from typing import NamedTuple

#: Seconds between log lines of one reason.
LOG_INTERVAL = 60.0
#: Limit of an example in characters, and of its payload in bytes.
EXAMPLE_LENGTH = 300
#: Examples kept of each reason.
EXAMPLES = 3


class Example(NamedTuple):
    """One refusal: its `time` in epoch seconds, what was wrong, and the beginning of what was sent, where known."""

    time: float
    detail: str
    payload: bytes = b""


class Refusals:
    """Counters and examples by label (a topic filter, a receiver) and reason, both from small sets.

    `log` receives the messages, which begin with `title`; without one nothing is logged. `clock` returns monotonic
    seconds.
    """

    def __init__(
        self, log: logging.Logger | None = None, title: str = "", clock: Callable[[], float] = monotonic
    ) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        #: the last ones, the oldest first, by label and reason
        self.examples: dict[tuple[str, str], deque[Example]] = {}
        self._log = log
        self._title = title
        self._clock = clock
        #: by reason: when it was logged last, and the count since then
        self._logged: dict[str, tuple[float, int]] = {}

    def add(self, reason: str, example: str, *, label: str = "", count: int = 1, payload: bytes | None = None) -> None:
        """Count `count` rejections for a `reason` under a `label`; keep the `example`, and log it if one is due.

        `payload` is what was sent, of which the beginning is kept.
        """
        self.counts[label, reason] += count
        shown = example if len(example) <= EXAMPLE_LENGTH else f"{example[:EXAMPLE_LENGTH]}…"
        kept = self.examples.get((label, reason)) or self.examples.setdefault((label, reason), deque(maxlen=EXAMPLES))
        kept.append(Example(time(), shown, bytes(payload[:EXAMPLE_LENGTH]) if payload else b""))
        if self._log is None:
            return
        now = self._clock()
        logged, since = self._logged.get(reason, (float("-inf"), 0))
        since += count
        if now - logged >= LOG_INTERVAL:
            total = sum(number for (_, known), number in self.counts.items() if known == reason)
            self._log.warning("%s: %d %s (%d since the start), such as %s", self._title, since, reason, total, shown)
            logged, since = now, 0
        self._logged[reason] = logged, since
