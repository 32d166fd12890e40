"""Ids of streams, made of names from elsewhere (topics, tags, columns, files) so that different names never merge.

As in JSON Pointer, `~` becomes `~0` and `/` becomes `~1`. What cannot be printed becomes `~u`, its code point and `;`.
An id that would be too long ends in `~h` and a hash of the whole. Names are brought to normalization form C first.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from streamnorm.engine.limits import LARGEST_NAME
from streamnorm.engine.names import REPLACEMENT

#: of tags in an id: `measurement,name=value,…`
SEPARATORS = ",="
#: how points of line protocol name their streams where nothing else is asked for
DEFAULT_TEMPLATE = "{measurement}{tags}"
_HASH_BYTES = 8
_HASH_MARK = "~h"
#: characters of an overlong id that remain before its hash
_READABLE = LARGEST_NAME - len(_HASH_MARK) - 2 * _HASH_BYTES
_ESCAPE = re.compile(r"~(0|1|u[0-9a-f]+;)")
#: an escape that a cut has left open
_OPEN = re.compile(r"~(u[0-9a-f]*)?$")


def escaped(name: str, also: str = "") -> str:
    """Return a name as a part of an id; characters of `also` are escaped, too.

    >>> escaped("客厅/lamp~2"), escaped("a\u200bb,c", also=",")
    ('客厅~1lamp~02', 'a~u200b;b~u2c;c')
    """
    name = unicodedata.normalize("NFC", name).replace("~", "~0").replace("/", "~1")
    if name.isascii() and name.isprintable() and not any(map(name.__contains__, also)):
        return name
    first = f"~u{ord(name[0]):x};" if name and unicodedata.combining(name[0]) else ""  # would join what is before it
    return first + "".join(
        letter if letter.isprintable() and letter not in also and letter != REPLACEMENT else f"~u{ord(letter):x};"
        for letter in name[bool(first) :]
    )


def unescaped(part: str) -> str:
    """Return the name of which `escaped` made a part of an id.

    >>> unescaped("客厅~1lamp~02"), unescaped("a~u200b;b~u2c;c") == "a\u200bb,c"
    ('客厅/lamp~2', True)
    """
    return _ESCAPE.sub(_character, part)


def shortened(stream_id: str) -> str:
    """Return an id; one that is too long with a hash in place of its end.

    >>> shortened("boiler-7"), shortened("a" * 500)[-20:]
    ('boiler-7', 'aa~h12f91f38505983c3')

    Raises:
        ValueError: it is empty.

    """
    if not stream_id:
        message = "a stream's id cannot be empty"
        raise ValueError(message)
    stream_id = unicodedata.normalize("NFC", stream_id)
    if len(stream_id) <= LARGEST_NAME:
        return stream_id
    exact = hashlib.blake2b(stream_id.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).hexdigest()
    return f"{_OPEN.sub('', stream_id[:_READABLE])}{_HASH_MARK}{exact}"


def stream_id_of(name: str) -> str:
    """Build the id of the stream that a name from elsewhere stands for.

    >>> stream_id_of("living room/lamp")
    'living room~1lamp'

    Raises:
        ValueError: the name is empty.

    """
    return shortened(escaped(name))


def _character(match: re.Match[str]) -> str:
    code = match[1]
    return "~" if code == "0" else "/" if code == "1" else chr(int(code[1:-1], 16))
