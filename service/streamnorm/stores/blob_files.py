"""Streams as a folder of Arrow files, each with the columns `stream` and `blob`, sorted by the bytes of the id.

What moves streams between a service and Flink or Spark. Where a stream is in several files, the last one counts: files
are named by the time at which they were written, and never changed.
"""

from __future__ import annotations

import bisect
import heapq
import os
import time
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from streamnorm.errors import StoreCorrupt, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SUFFIX = ".arrow"


class _Column:
    """The ids of a file, as a sequence of bytes."""

    def __init__(self, ids: Any) -> None:
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, place: int) -> bytes:
        found: str = self._ids[place].as_py()
        return found.encode()


class _File(NamedTuple):
    ids: _Column
    blobs: Any

    def find(self, key: bytes) -> bytes | None:
        """Return the blob of an id."""
        place = bisect.bisect_left(self.ids, key)
        if place == len(self.ids) or self.ids[place] != key:
            return None
        blob: bytes = self.blobs[place].as_py()
        return blob


class BlobFiles:
    """A folder's streams, as they were when it was first read; a `streamnorm.stores.copy.BlobEndpoint`.

    Files are mapped, not read: a million streams take no memory to speak of.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    @cached_property
    def _files(self) -> list[_File]:
        return [_opened(path) for path in sorted(self._folder.glob(f"*{SUFFIX}"), reverse=True)]

    def get(self, stream_id: str) -> bytes | None:
        """Return a stream's blob, or None.

        Raises:
            StoreCorrupt: a file is none of streams.

        """
        key = stream_id.encode()
        return next((blob for file in self._files if (blob := file.find(key)) is not None), None)

    async def count(self) -> int:
        """Count the streams."""
        return sum(1 for _ in self._after(b""))

    async def ids(self, after: str, limit: int) -> list[str]:
        """List at most `limit` ids greater than `after`, in byte order."""
        return [key.decode() for key in islice(self._after(after.encode()), limit)]

    async def load(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the streams' blobs in the order of `ids`; None for a missing stream."""
        return [self.get(stream_id) for stream_id in ids]

    async def save(self, blobs: Mapping[str, bytes]) -> None:
        """Write a file of blobs by stream id.

        Raises:
            StoreUnavailable: it cannot be written.

        """
        if blobs:
            save_blobs(self._folder, blobs)
            self.__dict__.pop("_files", None)

    async def close(self) -> None:
        """Let the files go."""
        self.__dict__.pop("_files", None)

    def _after(self, key: bytes) -> Iterator[bytes]:
        merged = heapq.merge(*(_from(file.ids, key) for file in self._files))
        return (each for each, _ in groupby(merged))


def save_blobs(folder: str | Path, blobs: Mapping[str, bytes]) -> Path:
    """Write streams to a new file of a folder, which is made; returns the file.

    Raises:
        StoreUnavailable: it cannot be written.

    """
    pa = _arrow()
    ids = sorted(blobs, key=str.encode)
    table = pa.table(
        {"stream": pa.array(ids, pa.string()), "blob": pa.array([blobs[each] for each in ids], pa.binary())}
    )
    file = Path(folder) / f"{time.time_ns():020}-{os.urandom(4).hex()}{SUFFIX}"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".new")
        with pa.OSFile(str(beside), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table.combine_chunks())
        beside.replace(file)
    except OSError as error:
        raise StoreUnavailable(f"cannot write {file}: {error}") from None
    return file


def _from(ids: _Column, key: bytes) -> Iterator[bytes]:
    """Yield the ids greater than a key."""
    return (ids[place] for place in range(bisect.bisect_right(ids, key), len(ids)))


def _opened(path: Path) -> _File:
    pa = _arrow()
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
        return _File(_Column(table["stream"].combine_chunks()), table["blob"].combine_chunks())
    except (pa.ArrowInvalid, KeyError) as error:
        raise StoreCorrupt(f"{path} is no Arrow file of streams: {error}") from None
    except OSError as error:
        raise StoreUnavailable(f"cannot read {path}: {error}") from None


def _arrow() -> Any:
    """Return PyArrow.

    Raises:
        StoreError: it is not installed.

    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - only where there are such files
        import pyarrow.ipc  # noqa: PLC0415 - which makes it `pa.ipc`
    except ImportError:
        raise StoreError("files of streams need PyArrow: pip install 'streamnorm[parquet]'") from None
    return pa
