"""The heads that connections have sent before.

Devices repeat their heads. One that the parser accepted and the fast path admitted is kept: where the same bytes begin
a later request, and the rest of the data is a body of the same length, the request need not be parsed again, on
whichever connection it comes; it is authorized again. This is no second parser: anything but bytes equal to a kept head
is parsed.
"""

from __future__ import annotations

from typing import Final

from streamnorm.api.fastpath.inline import Admitted, kept

END: Final = b"\r\n\r\n"
#: Heads kept at most: those of one device differ by its stream and the length of its bodies.
MAX_HEADS: Final = 4096
#: Bytes of the largest head that is kept, so that all of them together are bounded.
MAX_KEPT_BYTES: Final = 1024
_NONE: Final = (-1, None)


class KeptHeads:
    """The heads of a server's connections, with the lengths of their bodies and what the fast path needs of them."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[bytes, tuple[int, Admitted]] = {}

    def find(self, data: bytes) -> tuple[Admitted, bytes] | None:
        """Return the kept head and the body of data that is exactly one request with such a head; else None."""
        body = data.find(END) + len(END)
        length, admitted = self._heads.get(data[:body], _NONE)
        if admitted is None or len(data) != body + length:
            return None
        return admitted, data[body:]

    def keep(self, data: bytes, length: int, admitted: Admitted) -> None:
        """Keep the `admitted` head of a request with a body of `length` bytes, if `data` is that request alone."""
        body = data.find(END) + len(END)
        if len(data) != body + length or body > MAX_KEPT_BYTES:
            return
        if len(self._heads) >= MAX_HEADS:
            self._heads.clear()
        self._heads[data[:body]] = length, kept(admitted)
