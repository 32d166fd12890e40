"""The names of streams and features: printable Unicode text of 1 to 128 characters, and so of at most 512 bytes.

Text is in normalization form C, so that what looks the same is the same: an "é" of two code points is refused, not
converted, because who may use a stream is decided by its name as it was sent. A stream's id has no `/`, because it is a
part of paths; `streamnorm.formats.ids` makes ids of names that have one.
"""

from __future__ import annotations

import re
import unicodedata

from streamnorm.engine.limits import LARGEST_NAME

#: matches most ids, and costs less than the rule
is_plain_id = re.compile(rf"[A-Za-z0-9._:~-]{{1,{LARGEST_NAME}}}").fullmatch
#: stands for bytes that were not UTF-8: different ones would become one name
REPLACEMENT = "\ufffd"
#: comes after every character that a name may have, in Unicode and in UTF-8 alike
LAST = "\U0010ffff"
RULE = f"1 to {LARGEST_NAME} printable characters"


def name_fault(name: object) -> str | None:
    r"""Return why something cannot be a name; None if it can.

    >>> name_fault("客厅 1/2"), name_fault("a\nb")
    (None, 'must be 1 to 128 printable characters')
    """
    if not isinstance(name, str) or not 0 < len(name) <= LARGEST_NAME or not name.isprintable():
        return f"must be {RULE}"
    if name.isascii():
        return None
    if REPLACEMENT in name:
        return f"must be UTF-8, and have no {REPLACEMENT}"
    if not unicodedata.is_normalized("NFC", name):
        return "must be in Unicode's normalization form C"
    return None


def stream_id_fault(stream_id: object) -> str | None:
    """Return why something cannot be a stream's id; None if it can.

    >>> stream_id_fault("客厅"), stream_id_fault("a/b")
    (None, 'must not contain a slash, which ~1 stands for')
    """
    if isinstance(stream_id, str) and "/" in stream_id:
        return "must not contain a slash, which ~1 stands for"
    return name_fault(stream_id)


def is_stream_id(stream_id: str) -> bool:
    """Return whether a text is a valid id of a stream."""
    return is_plain_id(stream_id) is not None or stream_id_fault(stream_id) is None


def checked_stream_id(stream_id: str) -> str:
    """Return a stream's id.

    Raises:
        ValueError: it is not valid; the message says why.

    """
    fault = None if is_plain_id(stream_id) else stream_id_fault(stream_id)
    if fault is not None:
        raise ValueError(fault)
    return stream_id
