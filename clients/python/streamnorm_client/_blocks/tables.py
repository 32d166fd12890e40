"""Splits rows (lists or dicts) into JSON blocks and joins their answers; `npy` does this for arrays and frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

from streamnorm_client._calls.call import encode
from streamnorm_client._calls.json_values import instant, plain
from streamnorm_client._calls.requests import EncodedBlock
from streamnorm_client._errors import InvalidArgument, WrongType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BLOCK_ROWS = 10_000  # a tenth of a second of the service's time: frequent progress, and fair to other streams
BLOCK_BYTES = 8 * 1024 * 1024  # far below the service's 64 MiB, since proxies may have lower limits


@dataclass(frozen=True)
class Table:
    """Rows to send: `block(start, stop)` returns plain rows, `rebuild(rows, names)` the caller's type."""

    features: list[str] | None
    length: int
    block: Callable[[int, int], list[list[Any]]]
    rebuild: Callable[[list[list[Any]], Sequence[str]], Any]

    def joined(self, values: Sequence[list[list[Any]]], names: Sequence[str]) -> Any:
        """Join the blocks' values, which are of the features `names`."""
        return self.rebuild([row for block in values for row in block], names)


def table_of(rows: Any, features: Sequence[str] | None = None) -> Table:
    """Convert rows to a table.

    >>> table_of([{"temp": 21.4}, {"temp": 21.5, "door": 1}]).features
    ['temp', 'door']
    """
    try:
        rows = list(rows)
    except TypeError as error:
        raise WrongType(f"{rows!r:.80} is not a table: bulk takes lists, dicts, an array or a frame") from error
    if rows and all(isinstance(row, Mapping) for row in rows):
        return _of_dicts(rows, features)
    return Table(None if features is None else list(features), len(rows), _plain_rows(rows), _as_lists)


def cut(
    table: Table, timestamps: Iterable[Any] | None, max_rows: int = BLOCK_ROWS, max_bytes: int = BLOCK_BYTES
) -> Iterator[EncodedBlock]:
    """Split a table into blocks of at most `max_rows` rows and about `max_bytes` bytes, one row at least."""
    times = None if timestamps is None else [instant(timestamp) for timestamp in timestamps]
    if times is not None and len(times) != table.length:
        raise InvalidArgument(f"{len(times)} timestamps do not match {table.length} rows")
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


def _plain_rows(rows: list[Any]) -> Callable[[int, int], list[list[Any]]]:
    return lambda start, stop: [plain(row, f"/values/{start + n}") for n, row in enumerate(rows[start:stop])]


def _as_lists(values: list[list[Any]], _names: Sequence[str]) -> list[list[Any]]:
    return values


def _of_dicts(rows: list[Mapping[str, Any]], features: Sequence[str] | None) -> Table:
    names = list(features) if features is not None else list(dict.fromkeys(name for row in rows for name in row))
    lists = [[row.get(name) for name in names] for row in rows]

    def rebuild(values: list[list[Any]], made: Sequence[str]) -> list[dict[str, Any]]:
        # of a feature that became two, which `transform` does with angles, the names begin with its own
        sources = [name if name in names else name.rpartition(".")[0] for name in made]
        return [
            {name: y for name, source, y in zip(made, sources, normalized) if source in row}
            for row, normalized in zip(rows, values)
        ]

    return Table(names, len(rows), _plain_rows(lists), rebuild)
