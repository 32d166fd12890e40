"""Sends arrays and frames as NumPy files (npy, npz), and reads the answers.

NumPy is only taken from `sys.modules`: a caller that passes an array has already imported it.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Callable, NamedTuple
from urllib.parse import unquote

from streamnorm_client._blocks.frames import frame_of
from streamnorm_client._calls.call import Call, encode
from streamnorm_client._calls.json_values import instant
from streamnorm_client._calls.requests import EncodedBlock, block_call, stream_path
from streamnorm_client._errors import InvalidArgument, UnexpectedAnswer
from streamnorm_client._models import Block

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from streamnorm_client._calls.call import Response

NPY, NPZ = "application/x-npy", "application/x-npz"
BLOCK_BYTES = 8 * 1024 * 1024  # large compared with a round trip, small enough for any proxy
BLOCK_ROWS = 500_000  # half of the service's limit
TABLE = 2  # dimensions


class ArrayBlock(NamedTuple):
    """Rows of one stream in flight."""

    features: list[str] | None
    rows: Any
    times: Any = None

    @property
    def names(self) -> list[str]:
        """The features' names; by default their positions."""
        return self.features if self.features is not None else [str(place) for place in range(self.rows.shape[1])]

    @property
    def fits_query(self) -> bool:
        """Whether the names fit into a query parameter, where commas separate them."""
        return all(name and "," not in name for name in self.features or ())


@dataclass
class ArrayCall(Call[Block]):
    """A call whose body and answer are arrays; other members of the answer are headers, or arrays too."""

    content_type: str = NPY

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to the body and the answer."""
        return {"accept": self.content_type, "content-type": self.content_type}

    def answer(self, response: Response) -> Block:
        """Parse a successful answer."""
        numpy: Any = sys.modules["numpy"]
        try:
            arrays = numpy.load(io.BytesIO(response.body), allow_pickle=False)
            return self.read((response.headers, arrays))
        except (ValueError, KeyError, IndexError, EOFError) as error:
            detail = f"{self.path} was not answered with an array: {response.body[:80]!r}"
            raise UnexpectedAnswer(detail, response=response) from error


@dataclass(frozen=True)
class Packed:
    """An array to send, and how to convert its normalized values to the caller's type."""

    array: Any
    features: list[str] | None
    times: Any
    rebuild: Callable[[Any, Sequence[str] | None], Any]

    @property
    def length(self) -> int:
        """The number of rows."""
        return len(self.array)

    def blocks(self) -> Iterator[ArrayBlock]:
        """Split it into blocks."""
        rows = max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(1, self.array[0].nbytes)))
        for start in range(0, self.length, rows):
            times = None if self.times is None else self.times[start : start + rows]
            yield ArrayBlock(self.features, self.array[start : start + rows], times)

    def joined(self, values: Sequence[Any], names: Sequence[str]) -> Any:
        """Join the blocks' values, which are of the features `names`."""
        numpy: Any = sys.modules["numpy"]
        return self.rebuild(numpy.concatenate(values), None if list(names) == self.features else names)


def packed(rows: Any, features: Sequence[str] | None, timestamps: Iterable[Any] | None) -> Packed | None:
    """Convert an array or a numeric frame for sending; return None for other types.

    Raises:
        InvalidArgument: it is not a numeric table, or its timestamps are invalid.

    """
    numpy: Any = sys.modules.get("numpy")
    frame = frame_of(rows)
    if frame is not None:
        numpy = sys.modules["numpy"]
        if frame.times is not None and timestamps is not None:
            raise InvalidArgument("the frame has a time column, and timestamps are given too: leave out one of them")
        times = timestamps if frame.times is None else frame.times
        array, rebuild = frame.array, frame.rebuild
        features = frame.features if features is None else features
    elif numpy is not None and isinstance(rows, numpy.ndarray):
        array = rows if rows.dtype in (numpy.float32, numpy.float64) else _floats(rows)
        array = array.filled(numpy.nan) if hasattr(array, "filled") else array  # masked: NumPy loads that late
        rebuild, times = _identity, timestamps
    else:
        return None
    if array.ndim != TABLE:
        raise InvalidArgument(f"an array of shape {array.shape} is not a table: bulk takes (readings, features)")
    if features is not None and len(features) != array.shape[1]:
        raise InvalidArgument(f"{len(features)} names do not match {array.shape[1]} features")
    infinite = numpy.argwhere(numpy.isinf(array))
    if len(infinite):
        row, column = infinite[0]
        raise InvalidArgument(f"/values/{row}/{column}: {array[row, column]} is not a valid reading")
    return Packed(
        array,
        None if features is None else list(features),
        None if times is None else _epochs(times, len(array)),
        rebuild,
    )


def _identity(values: Any, _made: Sequence[str] | None) -> Any:
    return values


def _floats(rows: Any) -> Any:
    try:
        return rows.astype(float)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"an array of {rows.dtype} is not a numeric table: {error}") from error


def _epochs(timestamps: Any, rows: int) -> Any:
    """Convert timestamps (datetimes, RFC 3339 or numbers, in any sequence) to seconds since 1970."""
    numpy: Any = sys.modules["numpy"]
    moments = getattr(timestamps, "dt", timestamps)  # an index has the same attributes as the `dt` of a pandas Series
    if getattr(moments, "tz", None) is not None and hasattr(moments, "tz_convert"):
        timestamps = moments.tz_convert(None)
    moments = timestamps.to_numpy() if hasattr(timestamps, "to_numpy") else timestamps
    if not isinstance(moments, numpy.ndarray) or moments.dtype.kind == "O":
        moments = numpy.array([_seconds(moment) for moment in moments], dtype=float)
    if moments.dtype.kind == "M":
        missing = numpy.isnat(moments)
        times = moments.astype("datetime64[us]").astype("int64") / 1e6
    else:
        times = _floats(moments)
        missing = ~numpy.isfinite(times)
    if times.shape != (rows,):
        raise InvalidArgument(f"{len(times)} timestamps do not match {rows} rows")
    if missing.any():
        raise InvalidArgument(f"/timestamps/{int(missing.argmax())}: is not a time")
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
        raise InvalidArgument(f"timestamp {moment!r} is not RFC 3339: {error}") from error
    if parsed.tzinfo is None:
        raise InvalidArgument(f"timestamp {moment!r} has no time zone")
    return parsed.timestamp()


def array_call(stream: str, block: ArrayBlock, *, learn: bool, first_seq: int | None = None) -> Call[Block]:
    """Build the call of a block; `learn=False` only normalizes. Repeatable if it is numbered or does not learn."""
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
        names = headers.get("streamnorm-features")
        return Block(
            stream=headers["streamnorm-stream"],
            count=int(headers["streamnorm-count"]),
            ready=headers["streamnorm-ready"] == "true",
            features=block.names if names is None else [unquote(name) for name in names.split(",")],
            values=values,
            last_seq=None if last_seq is None else int(last_seq),
            gap=int(headers.get("streamnorm-gap", "0")),
            replayed=headers.get("streamnorm-replayed") == "true",
        )

    repeatable = first_seq is not None or not learn
    return ArrayCall("POST", f"{stream_path(stream)}/bulk", read, params, file.getvalue(), repeatable)


def _npz_call(stream: str, block: ArrayBlock, first_seq: int | None) -> ArrayCall:
    """Build an npz call, which can carry timestamps, unlike npy."""
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
        _, arrays = answer
        return Block(
            stream=str(arrays["streams"][0]),
            count=int(arrays["count"][0]),
            ready=bool(arrays["ready"][0]),
            features=arrays["features"].tolist() if "features" in arrays else block.names,
            values=arrays["values"][0],
            last_seq=None if first_seq is None else first_seq + len(block.rows) - 1,
            gap=int(arrays["gap"][0]) if "gap" in arrays else 0,
            replayed="replayed" in arrays and bool(arrays["replayed"][0]),
        )

    return ArrayCall("POST", "/v1/bulk", read, {}, file.getvalue(), first_seq is not None, NPZ)
