"""A layout: which features a stream has, their shapes, and where their state lies; shared by streams alike."""

from __future__ import annotations

import functools

Shape = tuple[int, ...]

#: floats at the start of every stream's state, before the first feature's
HEADER_SIZE = 10
COUNT, LAST_SEQ, GAP, CREATED, UPDATED, TIME, OFFSET, LATE, LATE_TIME, SKEW = range(HEADER_SIZE)


class Layout:
    """The features of a stream, in the order of their first readings; immutable.

    A plain feature has the shape (), a channel the shape of its array.
    """

    __slots__ = ("ends", "index", "names", "plain", "shapes", "starts", "stride")
    #: whether features differ in their plans; see `streamnorm.engine.mixed_layout`
    mixed = False

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

    def source_start(self, place: int) -> int:
        """Return where the state of the source at a place begins."""
        return self.starts[place]

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
    """Return the layout of these features."""
    return Layout(names, shapes, stride)
