"""NumPy arrays and pandas frames as the service takes them whole: NumPy's own files, in and out.

NumPy is never imported here but by way of `sys.modules`: whoever passes an array has imported it already.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from streamnorm_client._answers import Block
from streamnorm_client._calls import Call, stream_path
from streamnorm_client._errors import UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from streamnorm_client._calls import Reply

MEDIA_TYPE = "application/x-npy"
BLOCK_BYTES = 8 * 1024 * 1024  # large enough that a round trip costs little beside it, small enough for any proxy
BLOCK_ROWS = 500_000  # half of what the service takes


class ArrayBlock(NamedTuple):
    """Rows of one stream on their way."""

    features: list[str] | None
    rows: Any


@dataclass(frozen=True)
class ArrayCall(Call[Block]):
    """A call whose body and answer are arrays; what else is answered are headers."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to the body and the answer."""
        return {"accept": MEDIA_TYPE, "content-type": MEDIA_TYPE}

    def answer(self, reply: Reply) -> Block:
        """Read a successful answer."""
        numpy: Any = sys.modules["numpy"]
        try:
            values = numpy.load(io.BytesIO(reply.body), allow_pickle=False)
            return self.read((reply.headers, values))
        except (ValueError, KeyError, EOFError) as error:
            raise UnexpectedAnswer(f"{self.path} was answered with no array: {reply.body[:80]!r}") from error


@dataclass(frozen=True)
class Packed:
    """An array ready to be sent, and how its normalized values become the caller's type again."""

    array: Any
    features: list[str] | None
    rebuild: Callable[[Any], Any]

    @property
    def length(self) -> int:
        """How many rows there are."""
        return len(self.array)

    def blocks(self) -> Iterator[ArrayBlock]:
        """Cut it."""
        rows = max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(1, self.array[0].nbytes)))
        for start in range(0, self.length, rows):
            yield ArrayBlock(self.features, self.array[start : start + rows])

    def joined(self, values: Sequence[Any]) -> Any:
        """Put the blocks' values together."""
        numpy: Any = sys.modules["numpy"]
        return self.rebuild(numpy.concatenate(values))


def packed(rows: Any, features: Sequence[str] | None) -> Packed | None:
    """Take an array or a frame of numbers as it is; None for everything else, and for names that no query can hold."""
    numpy: Any = sys.modules.get("numpy")
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None and isinstance(rows, pandas.DataFrame):
        array = rows.to_numpy(dtype=float, na_value=float("nan"))
        names = list(features) if features is not None else list(map(str, rows.columns))
        return _checked(array, names, lambda values: pandas.DataFrame(values, index=rows.index, columns=rows.columns))
    if numpy is not None and isinstance(rows, numpy.ndarray):
        array = rows if rows.dtype in (numpy.float32, numpy.float64) else rows.astype(float)
        return _checked(array, None if features is None else list(features), lambda values: values)
    return None


def array_call(stream: str, block: ArrayBlock, *, learn: bool, first_seq: int | None = None) -> Call[Block]:
    """Normalize a block, and learn from it unless `learn` is False."""
    numpy: Any = sys.modules["numpy"]
    file = io.BytesIO()
    numpy.save(file, block.rows, allow_pickle=False)
    params = {} if learn else {"learn": "false"}
    if block.features is not None:
        params["features"] = ",".join(block.features)
    if first_seq is not None:
        params["first_seq"] = str(first_seq)
    names = block.features if block.features is not None else [str(place) for place in range(block.rows.shape[1])]

    def read(answer: tuple[Mapping[str, str], Any]) -> Block:
        headers, values = answer
        last_seq = headers.get("streamnorm-last-seq")
        return Block(
            stream=headers["streamnorm-stream"],
            count=int(headers["streamnorm-count"]),
            ready=headers["streamnorm-ready"] == "true",
            features=names,
            values=values,
            last_seq=None if last_seq is None else int(last_seq),
            gap=int(headers.get("streamnorm-gap", "0")),
            replayed=headers.get("streamnorm-replayed") == "true",
        )

    repeatable = first_seq is not None or not learn
    return ArrayCall("POST", f"{stream_path(stream)}/bulk", read, params, file.getvalue(), repeatable)


def _checked(array: Any, features: list[str] | None, rebuild: Callable[[Any], Any]) -> Packed | None:
    numpy: Any = sys.modules["numpy"]
    two = 2
    if array.ndim != two or not array.size or any("," in name or not name for name in features or ()):
        return None
    wild = numpy.argwhere(numpy.isinf(array))
    if len(wild):
        row, column = wild[0]
        raise ValueError(f"/values/{row}/{column}: {array[row, column]} is no reading of a sensor")
    return Packed(array, features, rebuild)
