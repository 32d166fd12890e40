"""A layout: which features a stream has, their shapes, and where their state lies; shared by streams alike."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence

Shape = tuple[int, ...]

#: floats at the start of every stream's state, before the first feature's
HEADER_SIZE = 10
HEADER_BYTES = 8 * HEADER_SIZE
COUNT, LAST_SEQ, GAP, CREATED, UPDATED, TIME, OFFSET, LATE, LATE_TIME, SKEW = range(HEADER_SIZE)


class Layout:
    """The features of a stream, in the order of their first readings; immutable.

    A plain feature has the shape (), a channel the shape of its array.
    """

    __slots__ = ("ends", "index", "names", "plain", "shapes", "starts", "stride")
    #: whether features differ in their plans; see `streamnorm.engine.state.mixed_layout`
    mixed = False
    #: features whose statistics are not of the raw values
    transformed: frozenset[str] = frozenset()
    #: whether compiled loops of several plans may take a reading in as it comes
    direct = False

    def __init__(self, names: tuple[str, ...], shapes: tuple[Shape, ...], stride: int) -> None:
        self.names = names
        self.shapes = shapes
        self.stride = stride
        self.starts = tuple(range(HEADER_SIZE, HEADER_SIZE + stride * len(names), stride))
        self.ends = tuple(start + stride for start in self.starts)
        self.index = {name: place for place, name in enumerate(names)}
        self.plain = not any(shapes)

    @property
    def sources(self) -> tuple[str, ...]:
        """The features as readings name them."""
        return self.names

    @property
    def source_shapes(self) -> tuple[Shape, ...]:
        """The shapes that they have in readings."""
        return self.shapes

    @property
    def source_index(self) -> dict[str, int]:
        """The place of each among the sources."""
        return self.index

    def source_of(self, name: str) -> str:
        """Return the source of a feature."""
        return name

    def places(self, source: str) -> tuple[int, ...]:
        """Return the places of the features that a source becomes."""
        return (self.index[source],)

    def observe(self, _values: Sequence[Any], _t: float, _state: array[float]) -> tuple[array[float], bool] | None:
        """Return None: a stream of one plan needs no help."""
        return None

    def memory(self, _source: str) -> int | None:
        """Return where the memory of a feature that is prepared begins; None of others, as all are here."""
        return None

    @property
    def tabular(self) -> bool:
        """Whether readings of all features make a table, and their answers one of the same columns."""
        return self.plain

    @property
    def size(self) -> int:
        """The floats of a stream's whole state."""
        return HEADER_SIZE + self.stride * len(self.names)


@functools.lru_cache(maxsize=4096)
def layout_for(names: tuple[str, ...], shapes: tuple[Shape, ...], stride: int) -> Layout:
    """Return the layout of features of these `names` and `shapes`, each of `stride` numbers; it is shared."""
    return Layout(names, shapes, stride)
