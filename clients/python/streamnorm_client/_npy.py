"""Arrays and frames as the service takes them whole: NumPy's own files, in and out.

NumPy is never imported here but by way of `sys.modules`: whoever passes an array has imported it already.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from streamnorm_client._errors import InvalidArgument, UnexpectedAnswer
from streamnorm_client._frames import frame_of
from streamnorm_client._json_values import instant
from streamnorm_client._models import Block
from streamnorm_client._requests import Call, EncodedBlock, block_call, encode, stream_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from streamnorm_client._requests import Response

NPY, NPZ = "application/x-npy", "application/x-npz"
BLOCK_BYTES = 8 * 1024 * 1024  # large enough that a round trip costs little beside it, small enough for any proxy
BLOCK_ROWS = 500_000  # half of what the service takes
TABLE = 2  # dimensions


class ArrayBlock(NamedTuple):
    """Rows of one stream in flight."""

    features: list[str] | None
    rows: Any
    times: Any = None

    @property
    def names(self) -> list[str]:
        """The features' names, which are their places where nobody named them."""
        return self.features if self.features is not None else [str(place) for place in range(self.rows.shape[1])]

    @property
    def fits_query(self) -> bool:
        """Whether the names can be told in a query, which separates them by commas."""
        return all(name and "," not in name for name in self.features or ())


@dataclass(frozen=True)
class ArrayCall(Call[Block]):
    """A call whose body and answer are arrays; what else is answered are headers, or arrays too."""

    media_type: str = NPY

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to the body and the answer."""
        return {"accept": self.media_type, "content-type": self.media_type}

    def answer(self, response: Response) -> Block:
        """Read a successful answer."""
        numpy: Any = sys.modules["numpy"]
        try:
            found = numpy.load(io.BytesIO(response.body), allow_pickle=False)
            return self.read((response.headers, found))
        except (ValueError, KeyError, IndexError, EOFError) as error:
            detail = f"{self.path} was answered with no array: {response.body[:80]!r}"
            raise UnexpectedAnswer(detail, response=response) from error


@dataclass(frozen=True)
class Packed:
    """An array ready to be sent, and how its normalized values become the caller's type again."""

    array: Any
    features: list[str] | None
    times: Any
    rebuild: Callable[[Any], Any]

    @property
    def length(self) -> int:
        """How many rows there are."""
        return len(self.array)

    def blocks(self) -> Iterator[ArrayBlock]:
        """Cut it."""
        rows = max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(1, self.array[0].nbytes)))
        for start in range(0, self.length, rows):
            times = None if self.times is None else self.times[start : start + rows]
            yield ArrayBlock(self.features, self.array[start : start + rows], times)

    def joined(self, values: Sequence[Any]) -> Any:
        """Put the blocks' values together."""
        numpy: Any = sys.modules["numpy"]
        return self.rebuild(numpy.concatenate(values))


def packed(rows: Any, features: Sequence[str] | None, timestamps: Iterable[Any] | None) -> Packed | None:
    """Return an array, or a frame of numbers, ready to be sent; None for everything else.

    Raises:
        InvalidArgument: it is no table of numbers, or its times are none.

    """
    numpy: Any = sys.modules.get("numpy")
    frame = frame_of(rows)
    if frame is not None:
        numpy = sys.modules["numpy"]
        if frame.times is not None and timestamps is not None:
            raise InvalidArgument("the frame has times, and timestamps are given too: leave out one of them")
        given = timestamps if frame.times is None else frame.times
        array, rebuild = frame.array, frame.rebuild
        features = frame.features if features is None else features
    elif numpy is not None and isinstance(rows, numpy.ndarray):
        array = rows if rows.dtype in (numpy.float32, numpy.float64) else _floats(rows)
        rebuild, given = _as_it_is, timestamps
    else:
        return None
    if array.ndim != TABLE:
        raise InvalidArgument(f"an array of shape {array.shape} is no table: bulk takes (readings, features)")
    if features is not None and len(features) != array.shape[1]:
        raise InvalidArgument(f"{len(features)} names do not fit {array.shape[1]} features")
    wild = numpy.argwhere(numpy.isinf(array))
    if len(wild):
        row, column = wild[0]
        raise InvalidArgument(f"/values/{row}/{column}: {array[row, column]} is no reading of a sensor")
    return Packed(
        array,
        None if features is None else list(features),
        None if given is None else _epochs(given, len(array)),
        rebuild,
    )


def _as_it_is(values: Any) -> Any:
    return values


def _floats(rows: Any) -> Any:
    try:
        return rows.astype(float)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"an array of {rows.dtype} is no table of numbers: {error}") from error


def _epochs(timestamps: Any, rows: int) -> Any:
    """Return times as seconds since 1970: of datetimes, RFC 3339 or numbers, in whatever holds them."""
    numpy: Any = sys.modules["numpy"]
    moments = getattr(timestamps, "dt", timestamps)  # a pandas Series has there what an index is itself
    if getattr(moments, "tz", None) is not None and hasattr(moments, "tz_convert"):
        timestamps = moments.tz_convert(None)
    given = timestamps.to_numpy() if hasattr(timestamps, "to_numpy") else timestamps
    if not isinstance(given, numpy.ndarray) or given.dtype.kind == "O":
        given = numpy.array([_seconds(each) for each in given], dtype=float)
    if given.dtype.kind == "M":
        missing = numpy.isnat(given)
        times = given.astype("datetime64[us]").astype("int64") / 1e6
    else:
        times = _floats(given)
        missing = ~numpy.isfinite(times)
    if times.shape != (rows,):
        raise InvalidArgument(f"{len(times)} timestamps do not fit {rows} rows")
    if missing.any():
        raise InvalidArgument(f"/timestamps/{int(missing.argmax())}: is no time")
    return times


def _seconds(moment: Any) -> float:
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.timestamp()
    plain = instant(moment)
    if not isinstance(plain, str):
        return plain
    try:
        parsed = datetime.fromisoformat(plain[:-1] + "+00:00" if plain[-1:] in {"Z", "z"} else plain)
    except ValueError as error:
        raise InvalidArgument(f"timestamp {moment!r} is no RFC 3339: {error}") from error
    if parsed.tzinfo is None:
        raise InvalidArgument(f"timestamp {moment!r} has no time zone")
    return parsed.timestamp()


def array_call(stream: str, block: ArrayBlock, *, learn: bool, first_seq: int | None = None) -> Call[Block]:
    """Normalize a block, and learn from it unless `learn` is False; repeatable if it is numbered or does not learn."""
    if learn and (block.times is not None or not block.fits_query):
        return _npz_call(stream, block, first_seq)
    if block.fits_query:
        return _npy_call(stream, block, learn=learn, first_seq=first_seq)
    numpy: Any = sys.modules["numpy"]
    rows = numpy.where(numpy.isnan(block.rows), None, block.rows).tolist()
    call = block_call(stream, EncodedBlock(block.names, [encode(row) for row in rows], None), learn=False)
    values: Callable[[Any], Any] = lambda data: {**data, "values": numpy.array(data["values"], dtype=float)}  # noqa: E731
    return Call(call.method, call.path, lambda data: Block.from_json(values(data)), call.params, call.body)


def _npy_call(stream: str, block: ArrayBlock, *, learn: bool, first_seq: int | None) -> ArrayCall:
    numpy: Any = sys.modules["numpy"]
    file = io.BytesIO()
    numpy.save(file, block.rows, allow_pickle=False)
    params = {} if learn else {"learn": "false"}
    if block.features is not None:
        params["features"] = ",".join(block.features)
    if first_seq is not None:
        params["first_seq"] = str(first_seq)

    def read(answer: tuple[Mapping[str, str], Any]) -> Block:
        headers, values = answer
        last_seq = headers.get("streamnorm-last-seq")
        return Block(
            stream=headers["streamnorm-stream"],
            count=int(headers["streamnorm-count"]),
            ready=headers["streamnorm-ready"] == "true",
            features=block.names,
            values=values,
            last_seq=None if last_seq is None else int(last_seq),
            gap=int(headers.get("streamnorm-gap", "0")),
            replayed=headers.get("streamnorm-replayed") == "true",
        )

    repeatable = first_seq is not None or not learn
    return ArrayCall("POST", f"{stream_path(stream)}/bulk", read, params, file.getvalue(), repeatable)


def _npz_call(stream: str, block: ArrayBlock, first_seq: int | None) -> ArrayCall:
    """Describe the call whose form has times, which an npy file has no room for."""
    numpy: Any = sys.modules["numpy"]
    stream_path(stream)
    arrays = {"streams": numpy.array([stream]), "values": block.rows[None], "features": numpy.array(block.names)}
    if block.times is not None:
        arrays["timestamps"] = block.times
    if first_seq is not None:
        arrays["first_seq"] = numpy.array([first_seq])
    file = io.BytesIO()
    numpy.savez(file, **arrays)

    def read(answer: tuple[Mapping[str, str], Any]) -> Block:
        _, found = answer
        return Block(
            stream=str(found["streams"][0]),
            count=int(found["count"][0]),
            ready=bool(found["ready"][0]),
            features=block.names,
            values=found["values"][0],
            last_seq=None if first_seq is None else first_seq + len(block.rows) - 1,
            gap=int(found["gap"][0]) if "gap" in found else 0,
            replayed="replayed" in found and bool(found["replayed"][0]),
        )

    return ArrayCall("POST", "/v1/bulk", read, {}, file.getvalue(), first_seq is not None, NPZ)
