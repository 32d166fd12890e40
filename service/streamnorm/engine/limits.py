"""The sizes the engine accepts, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from streamnorm.errors import LimitExceeded

#: Fourth powers of deviations stay finite in float64 below 1e77; no sensor comes near.
LARGEST_VALUE = 1e75
#: Whole numbers above 2⁵³ do not survive JSON readers that use float64.
LARGEST_SEQ = 2**53 - 1
#: Wide enough for any bus of sensors; a reading's state is then about 400 kB.
DEFAULT_MAX_FEATURES = 4_096
#: One megapixel image.
DEFAULT_MAX_ELEMENTS = 1_048_576
#: At 8 features a block of 64 MB in float64.
DEFAULT_MAX_ROWS = 1_000_000
#: NumPy stops at 64, and nobody counts that far.
LARGEST_DEPTH = 32
#: Names are paths or tags, not documents.
LARGEST_NAME = 128
#: A day: clocks of devices are wrong by hours (time zones), seldom by more.
DEFAULT_MAX_AHEAD = 86_400.0


@dataclass(frozen=True)
class Limits:
    """The sizes one engine accepts."""

    max_features: int = DEFAULT_MAX_FEATURES
    max_elements: int = DEFAULT_MAX_ELEMENTS
    max_rows: int = DEFAULT_MAX_ROWS
    #: how far, in seconds, a timestamp may lie ahead of the clock; None: there is no clock, and it is believed
    max_ahead: float | None = DEFAULT_MAX_AHEAD

    def check_features(self, count: int) -> None:
        """Refuse more than `max_features` features of a stream.

        Raises:
            LimitExceeded: there would be more.

        """
        if count > self.max_features:
            detail = f"a stream would have {count} features, the limit (max_features) is {self.max_features}"
            raise LimitExceeded("max_features", detail)
