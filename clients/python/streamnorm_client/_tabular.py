"""Rows in whatever form they come (lists, dicts, a NumPy array, a pandas DataFrame), cut into blocks and put back.

NumPy and pandas are never imported here: whoever passes their objects has imported them already.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

from streamnorm_client._calls import EncodedBlock, encode
from streamnorm_client._values import instant, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BLOCK_ROWS = 10_000  # a tenth of a second of work for the service: progress moves, and other streams get their turn
BLOCK_BYTES = 8 * 1024 * 1024  # far below the service's 64 MiB, which proxies on the way may not grant


@dataclass(frozen=True)
class Table:
    """Rows ready to be sent: `block(start, stop)` gives plain rows, `rebuild(rows)` the caller's type again."""

    features: list[str] | None
    length: int
    block: Callable[[int, int], list[list[Any]]]
    rebuild: Callable[[list[list[Any]]], Any]

    def joined(self, values: Sequence[list[list[Any]]]) -> Any:
        """Put the blocks' values together."""
        return self.rebuild([row for block in values for row in block])


def table_of(rows: Any, features: Sequence[str] | None = None) -> Table:
    """Understand rows.

    >>> table_of([{"temp": 21.4}, {"temp": 21.5, "door": 1}]).features
    ['temp', 'door']
    """
    if _is(rows, "pandas", "DataFrame"):
        return _of_frame(rows, features)
    if _is(rows, "numpy", "ndarray"):
        return _of_array(rows, features)
    rows = list(rows)
    if rows and all(isinstance(row, Mapping) for row in rows):
        return _of_dicts(rows, features)
    return Table(None if features is None else list(features), len(rows), _plain_rows(rows), list)


def cut(
    table: Table, timestamps: Iterable[Any] | None, max_rows: int = BLOCK_ROWS, max_bytes: int = BLOCK_BYTES
) -> Iterator[EncodedBlock]:
    """Cut a table into blocks of at most `max_rows` rows and about `max_bytes` bytes, one row at least."""
    times = None if timestamps is None else [instant(timestamp) for timestamp in timestamps]
    if times is not None and len(times) != table.length:
        raise ValueError(f"{len(times)} timestamps do not fit {table.length} rows")
    start = 0
    for chunk in _chunks(table, max_rows, max_bytes):
        stop = start + len(chunk)
        yield EncodedBlock(table.features, chunk, None if times is None else times[start:stop])
        start = stop


def _chunks(table: Table, max_rows: int, max_bytes: int) -> Iterator[list[bytes]]:
    for start in range(0, table.length, max_rows):
        chunk: list[bytes] = []
        size = 0
        for row in map(encode, table.block(start, min(start + max_rows, table.length))):
            if chunk and size + len(row) > max_bytes:
                yield chunk
                chunk, size = [], 0
            chunk.append(row)
            size += len(row) + 1
        yield chunk


def _is(value: Any, module: str, name: str) -> bool:
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name))


def _plain_rows(rows: list[Any]) -> Callable[[int, int], list[list[Any]]]:
    return lambda start, stop: [plain(row, f"/values/{start + n}") for n, row in enumerate(rows[start:stop])]


def _of_dicts(rows: list[Mapping[str, Any]], features: Sequence[str] | None) -> Table:
    names = list(features) if features is not None else list(dict.fromkeys(name for row in rows for name in row))
    lists = [[row.get(name) for name in names] for row in rows]

    def rebuild(values: list[list[Any]]) -> list[dict[str, Any]]:
        return [{name: y for name, y in zip(names, normalized) if name in row} for row, normalized in zip(rows, values)]

    return Table(names, len(rows), _plain_rows(lists), rebuild)


def _of_array(array: Any, features: Sequence[str] | None) -> Table:
    numpy: Any = sys.modules["numpy"]
    if array.ndim != 2:  # noqa: PLR2004 - rows by features
        raise ValueError(f"an array of shape {array.shape} is no table: bulk takes (readings, features)")
    array = array.astype(float)
    if numpy.isinf(array).any():
        row, column = numpy.argwhere(numpy.isinf(array))[0]
        raise ValueError(f"/values/{row}/{column}: {array[row, column]} is no reading of a sensor")

    def block(start: int, stop: int) -> list[list[Any]]:
        part = array[start:stop]
        rows: list[list[Any]] = numpy.where(numpy.isnan(part), None, part).tolist()
        return rows

    def rebuild(values: list[list[Any]]) -> Any:
        return numpy.array(values, dtype=float)  # None becomes NaN

    return Table(None if features is None else list(features), len(array), block, rebuild)


def _of_frame(frame: Any, features: Sequence[str] | None) -> Table:
    pandas: Any = sys.modules["pandas"]
    table = _of_array(frame.to_numpy(dtype=float, na_value=float("nan")), features or list(map(str, frame.columns)))

    def rebuild(values: list[list[Any]]) -> Any:
        return pandas.DataFrame(table.rebuild(values), index=frame.index, columns=frame.columns)

    return Table(table.features, table.length, table.block, rebuild)
