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

    def __init__(self, names: tuple[str, ...], shapes: tuple[Shape, ...], stride: int) -> None:
        self.names = names
        self.shapes = shapes
        self.stride = stride
        self.starts = tuple(range(HEADER_SIZE, HEADER_SIZE + stride * len(names), stride))
        self.ends = tuple(start + stride for start in self.starts)
        self.index = {name: place for place, name in enumerate(names)}
        self.plain = not any(shapes)

    @property
    def size(self) -> int:
        """The floats of a stream's whole state."""
        return HEADER_SIZE + self.stride * len(self.names)


@functools.lru_cache(maxsize=4096)
def layout_for(names: tuple[str, ...], shapes: tuple[Shape, ...], stride: int) -> Layout:
    """Return the layout of these features."""
    return Layout(names, shapes, stride)
