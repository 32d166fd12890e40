"""The handle of a stream for asyncio, with the same interface as `streamnorm_client._stream`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from streamnorm_client._calls import requests
from streamnorm_client._http import forks
from streamnorm_client._http.async_driver import drive
from streamnorm_client._live.async_live import AsyncLive
from streamnorm_client._procedures import StreamProcedures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from typing_extensions import Self

    from streamnorm_client._calls.retry import Outcome, Procedure
    from streamnorm_client._http.async_driver import AsyncTransport
    from streamnorm_client._http.httpx_adapter import Timeout
    from streamnorm_client._live.window import LiveProcedure
    from streamnorm_client._models import (
        Advice,
        Block,
        Configured,
        Denormalized,
        Normalized,
        Profile,
        StreamInfo,
        StreamRules,
    )
    from streamnorm_client._outbox.sender import Sender

T = TypeVar("T")


class AsyncStream:
    """The handle of one stream, returned by `AsyncClient.stream`.

    It numbers its readings, so that a retried reading is applied once; for that it requests the stream's `last_seq`
    before the first one. Readings of several tasks are sent sequentially. What happens if two programs write to one
    stream is described in `streamnorm_client._calls.sequencing`.
    """

    def __init__(self, stream: str, transport: AsyncTransport, sender: Sender | None) -> None:
        self._transport = transport
        self._procedures = StreamProcedures(stream, transport.retries, sender)
        self._turn: asyncio.Lock | None = None  # created lazily: Python 3.9 binds a lock to the current event loop
        forks.register(self)

    def __repr__(self) -> str:
        """Return a representation with the stream's id and the service's URL."""
        return f"<{type(self).__name__} {self.id!r} of {self._transport.connection.url}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the handle itself, so that cloned estimators share it."""
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
        standard deviation. `seq` sets the sequence number explicitly; `numbered=False` sends none, and then a request
        without an answer raises TransportError instead of being retried.
        """
        return await self._in_turn(
            self._procedures.observe(values, timestamp, stats=stats, seq=seq, numbered=numbered), timeout=timeout
        )

    def live(self) -> AsyncLive:
        """Open a live connection (a WebSocket), which costs less per reading than requests; needs the extra `live`.

        ```python
        async with client.stream("boiler-7").live() as live:
            await live.observe({"temp": 21.4})
        ```
        """
        return AsyncLive(self._procedures, self._transport, self._in_turn)

    async def put(self, values: Any, *, timestamp: Any = None) -> None:
        """Put a reading into the client's outbox, which sends it as soon as the service is reachable.

        It is on disk when this returns. `timestamp` defaults to now. From then on the outbox numbers the stream's
        readings, so numbered calls of `observe` and `bulk` raise StreamInUse.
        """
        self._procedures.put(values, timestamp)

    async def normalize(
        self, values: Any, *, timestamp: Any = None, stats: bool = False, timeout: Timeout = None
    ) -> Normalized:
        """Normalize a reading without changing the stream; an unknown feature gives None."""
        reading = requests.reading(values, timestamp)
        return await self._run(self._procedures.read_only(requests.normalize(self.id, reading, stats=stats)), timeout)

    async def denormalize(self, values: Any, *, timeout: Timeout = None) -> Denormalized:
        """Convert normalized values back to the sensors' units, with the current statistics."""
        return await self._run(self._procedures.read_only(requests.denormalize(self.id, values)), timeout)

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
        `seq` is the first row's number, `learn=False` only normalizes. An error has in `rows_done` the number of rows
        applied before it.
        """
        return await self._in_turn(
            self._procedures.bulk(
                rows, features, timestamps, seq=seq, numbered=numbered, learn=learn, progress=progress
            ),
            timeout=timeout,
        )

    async def configure(self, *, timeout: Timeout = None, **config: Any) -> Configured:
        """Create the stream, or replace its configuration: `configure(method="adaptive", warmup=64)`.

        Omitted parameters are as the service's rules and defaults say; `features={"door*": {"horizon": 20000}}` gives
        some features others. The answer's `restarted` says whether statistics were restarted, `reason` which and why.
        """
        return await self._in_turn(self._procedures.mutating(requests.configure(self.id, config)), timeout=timeout)

    async def info(self, *, timeout: Timeout = None) -> StreamInfo:
        """Read the stream's configuration and counters."""
        return await self._run(self._procedures.read_only(requests.info(self.id)), timeout)

    async def profile(self, *, timeout: Timeout = None) -> Profile:
        """Read the statistics of each feature, and its kind of sensor."""
        return await self._run(self._procedures.read_only(requests.profile(self.id)), timeout)

    async def advice(self, *, timeout: Timeout = None) -> Advice:
        """Ask for suggestions for the stream's features, judged by recent readings; none is applied."""
        return await self._run(self._procedures.read_only(requests.advice(self.id)), timeout)

    async def rules(self, *, timeout: Timeout = None) -> StreamRules:
        """Read which rules and mappings matched the stream, and where each feature's parameters come from."""
        return await self._run(self._procedures.read_only(requests.rules(self.id)), timeout)

    async def snapshot(self, *, timeout: Timeout = None) -> dict[str, Any]:
        """Export the stream's whole state as JSON data."""
        return await self._run(self._procedures.read_only(requests.snapshot(self.id)), timeout)

    async def restore(self, snapshot: Mapping[str, Any], *, timeout: Timeout = None) -> StreamInfo:
        """Replace the stream by a snapshot."""
        return await self._in_turn(self._procedures.mutating(requests.restore(self.id, snapshot)), timeout=timeout)

    async def merge(self, snapshot: Mapping[str, Any], *, timeout: Timeout = None) -> StreamInfo:
        """Merge a snapshot, as if the stream had observed its readings too.

        It is not retried once it may have arrived, because the readings would count twice.
        """
        return await self._in_turn(self._procedures.mutating(requests.merge(self.id, snapshot)), timeout=timeout)

    async def reset(self, *, timeout: Timeout = None) -> StreamInfo:
        """Clear the statistics and keep the configuration."""
        return await self._in_turn(self._procedures.mutating(requests.reset(self.id)), timeout=timeout)

    async def delete(self, *, timeout: Timeout = None) -> None:
        """Delete the stream."""
        await self._in_turn(self._procedures.delete(), timeout=timeout)

    def after_fork(self) -> None:
        """Reset the numbering in a forked child; another thread of the parent may have held the lock."""
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
        """Run a procedure that changes the numbering, exclusively."""
        if self._turn is None:
            self._turn = asyncio.Lock()
        async with self._turn:
            if perform is not None:
                return await drive(procedure, perform)
            return await self._transport.run(procedure, timeout)
