"""How the bytes of a recording stand for characters.

Files are carried as text in which every byte is one character (Latin-1), unless their characters have two bytes or
four: so what is not understood goes through unharmed, and only names are decoded.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from streamnorm.backfill.unreadable import Unreadable

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: of the bytes of ASCII text in UTF-16, every second one is zero
MANY_ZEROS = 0.3
SPOKEN = {"utf-8": "UTF-8", "cp1252": "Windows-1252", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}


@dataclass(frozen=True)
class Encoding:
    """An encoding, and the mark that the file begins with."""

    name: str = "utf-8"
    mark: bytes = b""

    @property
    def carrier(self) -> str:
        """The codec by which the file is carried."""
        return self.name if self.name.startswith(("utf-16", "utf-32")) else "latin-1"

    @property
    def unit(self) -> int:
        """Bytes of the smallest character."""
        return {"utf-16": 2, "utf-32": 4}.get(self.name[:6], 1)

    def decoded(self, carried: str) -> str:
        """Return the text that carried characters stand for."""
        return carried.encode(self.carrier).decode(self.name, "replace") if not carried.isascii() else carried

    def carried(self, text: str) -> str:
        """Return text as the file carries it."""
        return text if text.isascii() else text.encode(self.name, "replace").decode(self.carrier)

    def __str__(self) -> str:
        spoken = SPOKEN.get(self.name, self.name)
        return f"{spoken} with a byte order mark" if self.mark and self.unit == 1 else spoken


def encoding_of(head: bytes, name: str = "") -> Encoding:
    """Tell the encoding of a file by its first bytes, unless it is named.

    >>> str(encoding_of("21 °C".encode("cp1252"))), str(encoding_of("21 °C".encode("utf-16")))
    ('Windows-1252', 'UTF-16')

    Raises:
        Unreadable: no encoding has that name.

    """
    mark, marked = next(((mark, found) for mark, found in MARKS if head.startswith(mark)), (b"", ""))
    if name:
        return Encoding(_known(name, marked), mark)
    if marked:
        return Encoding(marked, mark)
    if b"\0" in head:
        even, odd = head[::2].count(0), head[1::2].count(0)
        if max(even, odd) > MANY_ZEROS * len(head) / 2:
            return Encoding("utf-16-le" if odd > even else "utf-16-be")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return Encoding("cp1252")
    return Encoding("utf-8")


def _known(name: str, marked: str) -> str:
    try:
        found = codecs.lookup(name).name
    except LookupError:
        message = f"--encoding: no encoding is called {name!r}; utf-8, utf-16, cp1252 and latin-1 are some"
        raise Unreadable(message) from None
    if found in {"utf-16", "utf-32"}:
        return marked if marked.startswith(found) else f"{found}-le"
    return {"utf-8-sig": "utf-8", "iso8859-1": "latin-1"}.get(found, found)
