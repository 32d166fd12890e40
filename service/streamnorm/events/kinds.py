"""What changes about a sensor itself: it becomes stuck, begins to drift, is alive again, sends nothing valid.

A stream is looked at once a second at most, when it is heard of, and less often where there are many. A change is told
once two looks agree on it, so that a sensor between two kinds is not told back and forth; a sensor that is still
warming up is of no kind yet.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from streamnorm.engine.streams.feature_profile import kinds
from streamnorm.kernels import base_statistics as base

if TYPE_CHECKING:
    from streamnorm.engine.streams.stream import Stream

#: Seconds between two looks at a stream: a kind is a matter of horizons.
SECONDS_BETWEEN_LOOKS = 1.0
#: Features of all streams that are looked at in a second: about ten milliseconds of processor time.
LOOKED_AT_A_SECOND = 2560
#: what a sensor is called that sent nothing but missing and invalid values since the last look
INVALID = "invalid"
WARMING = "warming"


class KindChange(NamedTuple):
    """A feature is another kind of sensor than before."""

    stream: str
    feature: str
    was: str
    kind: str
    #: seconds since 1970
    time: float


#: are told when a feature becomes another kind of sensor; must be quick, and never raise
KindListeners: TypeAlias = list[Callable[[KindChange], object]]


class Kinds:
    """What the features of one stream were at the last looks."""

    __slots__ = ("_heard", "_maybe", "_names", "due", "told")

    def __init__(self) -> None:
        #: when the stream is to be looked at again, in seconds since 1970
        self.due = 0.0
        #: feature -> the kind that was told, or that it began with
        self.told: dict[str, str] = {}
        self._maybe: dict[str, str] = {}
        #: the features of the last look, and how many values each had had, then how many each had missed
        self._names: tuple[str, ...] = ()
        self._heard = array("d")

    def look(self, stream_id: str, stream: Stream, now: float, total: Counter[str]) -> list[KindChange]:
        """Return the kinds of `stream` that have changed since the look before the last one.

        `stream_id` names it in the changes, `now` is in seconds since 1970, `total` counts the features by kind.
        """
        changes = []
        for name, kind in self._found(stream).items():
            was = self.told.get(name)
            if was is None or (WARMING in {was, kind} and was != kind):
                self._settle(name, kind, total)
            elif kind == was:
                self._maybe.pop(name, None)
            elif self._maybe.get(name) != kind:
                self._maybe[name] = kind
            else:
                changes.append(KindChange(stream_id, name, was, kind, now))
                self._settle(name, kind, total)
        self.due = now + max(SECONDS_BETWEEN_LOOKS, total.total() / LOOKED_AT_A_SECOND)
        return changes

    def forget(self, total: Counter[str]) -> None:
        """Take the stream's features out of `total`."""
        total.subtract(self.told.values())
        self.told.clear()

    def _settle(self, name: str, kind: str, total: Counter[str]) -> None:
        if name in self.told:
            total[self.told[name]] -= 1
        self.told[name] = kind
        total[kind] += 1
        self._maybe.pop(name, None)

    def _found(self, stream: Stream) -> dict[str, str]:
        found: dict[str, str] = dict(kinds(stream))
        names, starts, state = stream.layout.names, stream.layout.starts, stream.state
        counts, missing = [state[at + base.COUNT] for at in starts], [state[at + base.MISSING] for at in starts]
        known = len(self._names)
        if names[:known] == self._names:  # others were added, if any
            before = zip(self._heard[:known], self._heard[known:], strict=True)
            for name, count, missed, (had, lacked) in zip(names, counts, missing, before, strict=False):
                if count == had and missed >= lacked and (missed > lacked or self.told.get(name) == INVALID):
                    found[name] = INVALID
        self._names, self._heard = names, array("d", counts + missing)
        return found
