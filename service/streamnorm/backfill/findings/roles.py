"""What is asked of columns, and what they are found to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamnorm.backfill.times.clock import TimeForm


@dataclass(frozen=True)
class Asked:
    """What the options say of columns; None and empty where they say nothing."""

    columns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    stream: str = ""
    stream_column: str = ""
    feature_column: str = ""
    value_column: str = ""
    time_column: tuple[str, ...] = ()
    time_format: str = ""
    time_zone: str = ""
    time_unit: str = ""


@dataclass(frozen=True)
class Roles:
    """What the columns are; `time` has one column, two (a date and a time of the day) or the parts of a date."""

    features: tuple[str, ...]
    stream: str
    time: tuple[str, ...] = ()
    time_form: TimeForm = field(default_factory=TimeForm)
    in_parts: bool = False
    feature_column: str = ""
    value_column: str = ""
    #: why the other columns stay as they are
    kept: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def numbered(self) -> tuple[str, ...]:
        """The columns whose values are normalized."""
        return (self.value_column,) if self.feature_column else self.features
