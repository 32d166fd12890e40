"""The handle of a stream for asyncio; the names, and their descriptions, are those of `streamnorm_client._stream`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from streamnorm_client import _forks, _requests
from streamnorm_client._async_driver import drive
from streamnorm_client._async_live import AsyncLive
from streamnorm_client._procedures import StreamProcedures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from typing_extensions import Self

    from streamnorm_client._async_driver import AsyncTransport
    from streamnorm_client._http_adapter import Timeout
    from streamnorm_client._models import Block, Configured, Denormalized, Normalized, Profile, StreamInfo
    from streamnorm_client._outbox import Sender
    from streamnorm_client._retry import Outcome, Procedure
    from streamnorm_client._window import LiveProcedure

T = TypeVar("T")


class AsyncStream:
    """The handle of one stream, made by `AsyncClient.stream`.

    It numbers its readings, so that a reading that must be sent twice is applied once; for that it asks the service
    for the stream's `last_seq` before the first one. Readings of several tasks are sent one after the other.
    `streamnorm_client._sequencing` tells what happens where two programs write to one stream.
    """

    def __init__(self, stream: str, transport: AsyncTransport, sender: Sender | None) -> None:
        self._transport = transport
        self._procedures = StreamProcedures(stream, transport.retries, sender)
        self._turn: asyncio.Lock | None = None  # Python 3.9 binds a lock to the loop that it is made in
        _forks.register(self)

    def __repr__(self) -> str:
        """Return the stream and where it is."""
        return f"<{type(self).__name__} {self.id!r} of {self._transport.connection.url}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Stay the one handle of the stream where an estimator that holds it is cloned."""
        return self

    @property
    def id(self) -> str:
        """The stream's id."""
        return self._procedures.stream

    async def observe(
        self,
        values: Any,
        *,
        timestamp: Any = None,
        stats: bool = False,
        seq: int | None = None,
        numbered: bool = True,
        timeout: Timeout = None,
    ) -> Normalized:
        """Normalize a reading and learn from it.

        `values` is a dict of features or a sequence; a feature is a number, or an array (a channel); None, or NaN, is a
        missing value. `timestamp` is a datetime with a time zone, RFC 3339 or epoch seconds. `stats=True` adds mean and
        standard deviation. `seq` numbers the reading yourself; `numbered=False` sends it without a number, and then
        a request without answer raises TransportError instead of being sent again.
        """
        return await self._in_turn(
            self._procedures.observe(values, timestamp, stats=stats, seq=seq, numbered=numbered), timeout=timeout
        )

    def live(self) -> AsyncLive:
        """Open a WebSocket for readings one after the other, at less cost than a request each; needs the extra `live`.

        ```python
        async with client.stream("boiler-7").live() as live:
            await live.observe({"temp": 21.4})
        ```
        """
        return AsyncLive(self._procedures, self._transport, self._in_turn)

    async def put(self, values: Any, *, timestamp: Any = None) -> None:
        """Keep a reading in the client's outbox, from where it is sent as soon as the service is there.

        It is safe when this returns. `timestamp` is now if it is not given. From then on the outbox numbers the
        stream's readings, so `observe` and `bulk` refuse to.
        """
        self._procedures.put(values, timestamp)

    async def normalize(
        self, values: Any, *, timestamp: Any = None, stats: bool = False, timeout: Timeout = None
    ) -> Normalized:
        """Normalize a reading and leave the stream as it is; a feature never seen gives None."""
        reading = _requests.reading(values, timestamp)
        return await self._run(self._procedures.read_only(_requests.normalize(self.id, reading, stats=stats)), timeout)

    async def denormalize(self, values: Any, *, timeout: Timeout = None) -> Denormalized:
        """Bring normalized values back into the sensors' units, with today's statistics."""
        return await self._run(self._procedures.read_only(_requests.denormalize(self.id, values)), timeout)

    async def bulk(
        self,
        rows: Any,
        *,
        features: Sequence[str] | None = None,
        timestamps: Iterable[Any] | None = None,
        seq: int | None = None,
        numbered: bool = True,
        learn: bool = True,
        progress: Callable[[int, int], object] | None = None,
        timeout: Timeout = None,
    ) -> Block:
        """Observe many readings, in order, with a request per block of 10 000 rows or 8 MiB.

        `rows` are lists, dicts, a 2-D NumPy array (readings, features) or a pandas DataFrame; the answer's `values` are
        of the same type, with NaN for missing values in arrays and frames, and a frame keeps its index and columns.
        `features` names the columns, `timestamps` has one per row. `progress(done, total)` is called after each block.
        `seq` is the first row's number, `learn=False` only normalizes. An error part-way tells in `rows_done` how
        many rows were applied before.
        """
        return await self._in_turn(
            self._procedures.bulk(
                rows, features, timestamps, seq=seq, numbered=numbered, learn=learn, progress=progress
            ),
            timeout=timeout,
        )

    async def configure(self, *, timeout: Timeout = None, **config: Any) -> Configured:
        """Create the stream, or replace its configuration: `configure(method="adaptive", warmup=64)`.

        Parameters that are not named take the service's defaults. The answer's `restarted` tells whether the
        statistics began anew.
        """
        return await self._in_turn(self._procedures.mutating(_requests.configure(self.id, config)), timeout=timeout)

    async def info(self, *, timeout: Timeout = None) -> StreamInfo:
        """Read the stream's configuration and counters."""
        return await self._run(self._procedures.read_only(_requests.info(self.id)), timeout)

    async def profile(self, *, timeout: Timeout = None) -> Profile:
        """Read what the service knows of each feature, and what kind of sensor it takes it for."""
        return await self._run(self._procedures.read_only(_requests.profile(self.id)), timeout)

    async def snapshot(self, *, timeout: Timeout = None) -> dict[str, Any]:
        """Export the stream's whole state as plain JSON data."""
        return await self._run(self._procedures.read_only(_requests.snapshot(self.id)), timeout)

    async def restore(self, snapshot: Mapping[str, Any], *, timeout: Timeout = None) -> StreamInfo:
        """Put a snapshot in the stream's place."""
        return await self._in_turn(self._procedures.mutating(_requests.restore(self.id, snapshot)), timeout=timeout)

    async def merge(self, snapshot: Mapping[str, Any], *, timeout: Timeout = None) -> StreamInfo:
        """Merge a snapshot in, as if the stream had seen its readings too.

        It is not sent again once it may have arrived: twice would count the readings twice.
        """
        return await self._in_turn(self._procedures.mutating(_requests.merge(self.id, snapshot)), timeout=timeout)

    async def reset(self, *, timeout: Timeout = None) -> StreamInfo:
        """Clear the statistics and keep the configuration."""
        return await self._in_turn(self._procedures.mutating(_requests.reset(self.id)), timeout=timeout)

    async def delete(self, *, timeout: Timeout = None) -> None:
        """Delete the stream."""
        await self._in_turn(self._procedures.delete(), timeout=timeout)

    def after_fork(self) -> None:
        """Start numbering anew in a forked child, whose parent numbers on; another thread may have had the turn."""
        self._turn = None
        self._procedures.after_fork()

    async def _run(self, procedure: Procedure[T], timeout: Timeout) -> T:
        return await self._transport.run(procedure, timeout)

    async def _in_turn(
        self,
        procedure: LiveProcedure[T],
        perform: Callable[[Any], Awaitable[Outcome]] | None = None,
        timeout: Timeout = None,
    ) -> T:
        """Carry out a procedure that changes the numbering."""
        if self._turn is None:
            self._turn = asyncio.Lock()
        async with self._turn:
            if perform is not None:
                return await drive(procedure, perform)
            return await self._transport.run(procedure, timeout)
