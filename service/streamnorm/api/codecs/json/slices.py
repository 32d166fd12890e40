"""Parses large JSON documents in slices, which bounds both the time that the GIL is held and the number of objects.

A parser in C holds the GIL for its whole run, a hundred milliseconds for a few megabytes. So the large arrays that are
the document, or members of it, are located by vectorized steps, which release the GIL, and parsed slice by slice.

The positions of the cuts need not be trusted: if all slices parse as arrays, and the outline parses with placeholders
for them, the whole document is valid. A slice with NaN, which is no JSON, is parsed by a slower parser.
"""

from __future__ import annotations

import codecs
import re
import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import orjson

from streamnorm.api.http.body import malformed_json, too_large
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.errors import InvalidReading
from streamnorm.formats import lenient_json

Data: TypeAlias = bytes | bytearray

#: the parser's message for bytes that are not UTF-8
NO_TEXT = "str is not valid UTF-8: surrogates not allowed"

#: Bytes of JSON that are parsed in about two milliseconds.
SLICE = 64 * 1024

#: Bytes at the end of a window that are searched for a comma first.
TAIL = 2048

_DEPTH = np.zeros(256, np.int8)
_DEPTH[list(b"[{")] = 1
_DEPTH[list(b"]}")] = -1
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_SPACE = re.compile(rb"[ \t\n\r]*")
_QUOTE, _COMMA, _OPEN = b'",['


class Array(NamedTuple):
    """An array in a document: the offsets of its start and end, and of some commas between its elements."""

    start: int
    end: int
    cuts: list[int]


class Sliced(NamedTuple):
    """A document whose large arrays are not parsed yet: `outline` has a placeholder, `[name]`, for each."""

    data: Data
    outline: Any
    arrays: dict[str, Array]
    longest: int
    #: names of the arrays that a caller parses
    asked: set[str]

    def is_large(self, value: Any) -> bool:
        """Whether a value of the outline is the placeholder of a large array."""
        return isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) and value[0] in self.arrays

    def elements(self, value: Any) -> Iterator[list[Any]] | None:
        """Yield the elements of an array of the document in slices; None if the value is not an array.

        Raises:
            HTTPProblem: the array is not JSON, or an element is too large.

        """
        if not self.is_large(value):
            return iter([value]) if isinstance(value, list) else None
        self.asked.add(value[0])
        return _parsed(self.data, self.arrays[value[0]], self.longest)

    def finish(self) -> Any:
        """Parse the arrays that were not requested; return the outline, with an empty array for each large one.

        Raises:
            HTTPProblem: an array is not JSON.

        """
        for name in self.arrays.keys() - self.asked:
            for _ in _parsed(self.data, self.arrays[name], self.longest):
                pass
        outline = self.outline
        if isinstance(outline, dict):
            return {name: self._plain(value) for name, value in outline.items()}
        return self._plain(outline)

    def _plain(self, value: Any) -> Any:
        return [] if self.is_large(value) else value


def loads_sliced(data: Data, longest: int, size: int = SLICE) -> Sliced:
    """Parse a document except its large arrays.

    `data` is the document, `longest` the limit in bytes of an element and of the outline, `size` that of a slice.

    Raises:
        HTTPProblem: the outline is not JSON.
        InvalidReading: the outline is too large.

    """
    if data.startswith(codecs.BOM_UTF8):  # otherwise removeprefix would copy a bytearray
        data = data.removeprefix(codecs.BOM_UTF8)
    space = _SPACE.match(data)
    first = space.end() if space else 0
    if len(data) <= size or bytes(data[first : first + 1]) not in {b"[", b"{"}:
        return Sliced(data, _loads(data, 0, data), {}, longest, set())
    arrays = [array for array in _arrays(data, first, size) if array.end - array.start > size]
    named = {f"{secrets.token_hex(8)}-{index}": array for index, array in enumerate(arrays)}
    outline, at = bytearray(), 0
    for name, array in named.items():
        outline += data[at : array.start] + b'["%b"]' % name.encode()
        at = array.end
    outline += data[at:]
    if len(outline) > max(longest, size):
        raise InvalidReading.at("", f"beside its large arrays the body has {len(outline)} bytes, not within {longest}")
    try:
        return Sliced(data, lenient_json.loads(outline), named, longest, set())
    except orjson.JSONDecodeError as error:
        place = _byte(outline, error)
        for name, array in named.items():
            if place <= array.start:
                break
            for _ in _parsed(data, array, longest):
                pass
            place += array.end - array.start - len(name) - 4
        raise _malformed(data, error.msg, place) from None


def _arrays(data: Data, first: int, size: int) -> Iterator[Array]:
    """Locate the array that is the document, or those that are its members."""
    depth_of_elements = 1 if data[first] == _OPEN else 2
    begun: int | None = None
    cuts: list[int] = []
    for at, window, depth in _windows(data, size):
        if begun is not None and depth.min() >= depth_of_elements:  # the whole window is within one array
            for tail in (TAIL, len(window)):
                commas = np.flatnonzero((window[-tail:] == _COMMA) & (depth[-tail:] == depth_of_elements))
                if len(commas):
                    cuts.append(at + max(0, len(window) - tail) + int(commas[-1]))
                    break
            continue
        here = depth == depth_of_elements
        bounds = np.flatnonzero((window == _OPEN) & here | (depth == depth_of_elements - 1) & (_DEPTH[window] < 0))
        commas = np.flatnonzero((window == _COMMA) & here)
        last = 0
        for bound in bounds.tolist():
            if begun is None:
                begun = at + bound if window[bound] == _OPEN else None
                last = bound
            else:
                yield Array(begun, at + bound + 1, _last(cuts, commas, at, last, bound))
                begun, cuts = None, []
        if begun is not None:
            cuts = _last(cuts, commas, at, last, len(window))
    if begun is not None:
        yield Array(begun, len(data), cuts)


def _last(cuts: list[int], commas: Any, at: int, start: int, end: int) -> list[int]:
    """Add the last comma of a part of a window to the cuts, if there is one."""
    place = int(np.searchsorted(commas, end)) - 1
    return [*cuts, at + int(commas[place])] if place >= 0 and commas[place] > start else cuts


def _windows(data: Data, size: int) -> Iterator[tuple[int, Any, Any]]:
    """Yield the document in windows: the offset of each, its bytes, and the nesting depth of each byte.

    The contents of strings are replaced by spaces; an opening bracket counts as inside what it opens, a closing one as
    outside.
    """
    depth, quoted, escaping = 0, 0, False
    for at in range(0, len(data), size):
        window = bytes(data[at : at + size])
        if escaping or b"\\" in window:
            window = b" " + window[1:] if escaping else window
            window = _ESCAPED.sub(b"  ", window)
            escaping = window.endswith(b"\\")
        letters = np.frombuffer(window, np.uint8)
        steps = _DEPTH[letters]
        quotes = letters == _QUOTE
        if quoted or quotes.any():
            within = np.bitwise_xor.accumulate(quotes.view(np.uint8)) ^ quoted
            quoted = int(within[-1])
            steps[within.view(np.bool_)] = 0
            letters = np.where(within, ord(" "), letters)
        depths = np.cumsum(steps, dtype=np.int32) + depth
        depth = int(depths[-1])
        yield at, letters, depths


def _parsed(data: Data, array: Array, longest: int) -> Iterator[list[Any]]:
    """Parse an array in slices."""
    start = array.start
    for end in [*array.cuts, array.end]:
        if end - start > longest + 2 * SLICE:
            raise too_large(longest, "a reading of the body")
        if start == array.start:
            first = _loads(data[start:end] + (b"]" if end < array.end else b""), start, data)
            if not first and end < array.end:  # a comma with nothing before it
                _loads(data[start : end + 1], start, data)
            yield first
        else:  # begins with the comma after the previous slice
            text = b"[0" + data[start:end] + (b"]" if end < array.end else b"")
            yield _loads(text, start - 2, data)[1:]
        start = end


def _loads(text: Data, at: int, data: Data) -> Any:
    """Parse JSON that begins at the offset `at` of a document."""
    try:
        return lenient_json.loads(text)
    except orjson.JSONDecodeError as error:
        msg, place = error.msg, _byte(text, error)
    if text is not data:  # the continuation determines the message for an error at the end of the slice
        more = text[:-1] + data[at + len(text) - 1 : at + len(text) + SLICE]
        try:
            lenient_json.loads(more)
        except orjson.JSONDecodeError as error:
            msg, place = error.msg, _byte(more, error)
    raise _malformed(data, msg, at + place)


def _byte(text: Data, error: orjson.JSONDecodeError) -> int:
    """Return the byte offset of an error in a text."""
    return len(text.decode("utf-8", "surrogatepass")[: error.pos].encode("utf-8", "surrogatepass")) if error.pos else 0


def _malformed(data: Data, msg: str, place: int) -> HTTPProblem:
    """Build the problem that parsing the whole document would have raised: invalid UTF-8 takes precedence."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(data), SLICE):
            decoder.decode(data[at : at + SLICE], final=at + SLICE >= len(data))
    except UnicodeDecodeError:
        return malformed_json(NO_TEXT, 1, 1)
    return malformed_json(msg, *_position(data, place))


def _position(data: Data, place: int) -> tuple[int, int]:
    """Return a byte's line and column, both counted from 1."""
    before = data.rfind(b"\n", 0, place) + 1
    return data.count(b"\n", 0, place) + 1, len(data[before:place].decode("utf-8", "replace")) + 1
