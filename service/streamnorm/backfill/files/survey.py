"""One pass over a recording before the work: its hash, and a sample from all over it.

Rules of the sample: the beginning is in it whole, the rest in blocks that lie evenly, and a small file is in it whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamnorm.backfill.files.containers import opened

#: some thousand rows of a large file; a file of up to a megabyte is looked at whole
HEAD, WHOLE = 2**18, 2**20
#: so many blocks of so many bytes beyond the beginning
MOST_BLOCKS, BLOCK = 64, 2**12
READ = 2**20


def hasher() -> Any:
    """Return what hashes recordings."""
    return hashlib.sha256()


@dataclass
class Survey:
    """What a pass over a file found: bytes are counted unpacked."""

    size: int = 0
    digest: str = ""
    head: bytes = b""
    #: beginning of each block, and its bytes
    blocks: list[tuple[int, bytes]] = field(default_factory=list)
    #: what has hashed the bytes up to each of the places asked for
    at: dict[int, Any] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether the beginning is all."""
        return self.size <= len(self.head)


def surveyed(path: Path, places: Collection[int] = ()) -> Survey:
    """Read a file once; `places` are those whose hash is asked for."""
    found, total, every = Survey(), hasher(), READ
    wanted = sorted(places, reverse=True)
    with opened(path) as file:
        while data := file.read(READ):
            start, end = found.size, found.size + len(data)
            if start == 0:
                found.head = data[:WHOLE]
            elif start % every == 0:
                found.blocks.append((start, data[:BLOCK]))
                if len(found.blocks) > MOST_BLOCKS:
                    every *= 2
                    found.blocks = [block for block in found.blocks if block[0] % every == 0]
            while wanted and wanted[-1] <= end:
                place = wanted.pop()
                total.update(data[: place - start])
                found.at[place] = total.copy()
                data, start = data[place - start :], place
            total.update(data)
            found.size = end
    if wanted and wanted[-1] == 0:
        found.at[0] = hasher()
    found.digest = total.hexdigest()
    if found.size > WHOLE:
        found.head = found.head[:HEAD]
    return found
