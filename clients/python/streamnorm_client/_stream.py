"""The handle of a stream whose calls block; `streamnorm_client._async_stream` has the same names for asyncio."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

from streamnorm_client import _forks, _requests
from streamnorm_client._live import Live
from streamnorm_client._procedures import StreamProcedures
from streamnorm_client._sync_driver import drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from typing_extensions import Self

    from streamnorm_client._http_adapter import Timeout
    from streamnorm_client._models import Block, Configured, Denormalized, Normalized, Profile, StreamInfo
    from streamnorm_client._outbox import Sender
    from streamnorm_client._retry import Outcome, Procedure
    from streamnorm_client._sync_driver import Transport
    from streamnorm_client._window import LiveProcedure

T = TypeVar("T")


class Stream:
    """The handle of one stream, made by `Client.stream`.

    It numbers its readings, so that a reading that must be sent twice is applied once; for that it asks the service
    for the stream's `last_seq` before the first one. Readings of several threads are sent one after the other.
    `streamnorm_client._sequencing` tells what happens where two programs write to one stream.
    """

    def __init__(self, stream: str, transport: Transport, sender: Sender | None) -> None:
        self._transport = transport
        self._procedures = StreamProcedures(stream, transport.retries, sender)
        self._turn = threading.Lock()
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

    def observe(
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
        return self._in_turn(
            self._procedures.observe(values, timestamp, stats=stats, seq=seq, numbered=numbered), timeout=timeout
        )

    def live(self) -> Live:
        """Open a WebSocket for readings one after the other, at less cost than a request each; needs the extra `live`.

        ```python
        with client.stream("boiler-7").live() as live:
            live.observe({"temp": 21.4})
        ```
        """
        return Live(self._procedures, self._transport, self._in_turn)

    def put(self, values: Any, *, timestamp: Any = None) -> None:
        """Keep a reading in the client's outbox, from where it is sent as soon as the service is there.

        It is safe when this returns. `timestamp` is now if it is not given. From then on the outbox numbers the
        stream's readings, so `observe` and `bulk` refuse to.
        """
        self._procedures.put(values, timestamp)

    def normalize(
        self, values: Any, *, timestamp: Any = None, stats: bool = False, timeout: Timeout = None
    ) -> Normalized:
        """Normalize a reading and leave the stream as it is; a feature never seen gives None."""
        reading = _requests.reading(values, timestamp)
        return self._run(self._procedures.read_only(_requests.normalize(self.id, reading, stats=stats)), timeout)

    def denormalize(self, values: Any, *, timeout: Timeout = None) -> Denormalized:
        """Bring normalized values back into the sensors' units, with today's statistics."""
        return self._run(self._procedures.read_only(_requests.denormalize(self.id, values)), timeout)

    def bulk(
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
        return self._in_turn(
            self._procedures.bulk(
                rows, features, timestamps, seq=seq, numbered=numbered, learn=learn, progress=progress
            ),
            timeout=timeout,
        )

    def configure(self, *, timeout: Timeout = None, **config: Any) -> Configured:
        """Create the stream, or replace its configuration: `configure(method="adaptive", warmup=64)`.

        Parameters that are not named take the service's defaults. The answer's `restarted` tells whether the
        statistics began anew.
        """
        return self._in_turn(self._procedures.mutating(_requests.configure(self.id, config)), timeout=timeout)

    def info(self, *, timeout: Timeout = None) -> StreamInfo:
        """Read the stream's configuration and counters."""
        return self._run(self._procedures.read_only(_requests.info(self.id)), timeout)

    def profile(self, *, timeout: Timeout = None) -> Profile:
        """Read what the service knows of each feature, and what kind of sensor it takes it for."""
        return self._run(self._procedures.read_only(_requests.profile(self.id)), timeout)

    def snapshot(self, *, timeout: Timeout = None) -> dict[str, Any]:
        """Export the stream's whole state as plain JSON data."""
        return self._run(self._procedures.read_only(_requests.snapshot(self.id)), timeout)

    def restore(self, snapshot: Mapping[str, Any], *, timeout: Timeout = None) -> StreamInfo:
        """Put a snapshot in the stream's place."""
        return self._in_turn(self._procedures.mutating(_requests.restore(self.id, snapshot)), timeout=timeout)

    def merge(self, snapshot: Mapping[str, Any], *, timeout: Timeout = None) -> StreamInfo:
        """Merge a snapshot in, as if the stream had seen its readings too.

        It is not sent again once it may have arrived: twice would count the readings twice.
        """
        return self._in_turn(self._procedures.mutating(_requests.merge(self.id, snapshot)), timeout=timeout)

    def reset(self, *, timeout: Timeout = None) -> StreamInfo:
        """Clear the statistics and keep the configuration."""
        return self._in_turn(self._procedures.mutating(_requests.reset(self.id)), timeout=timeout)

    def delete(self, *, timeout: Timeout = None) -> None:
        """Delete the stream."""
        self._in_turn(self._procedures.delete(), timeout=timeout)

    def after_fork(self) -> None:
        """Start numbering anew in a forked child, whose parent numbers on; another thread may have had the turn."""
        self._turn = threading.Lock()
        self._procedures.after_fork()

    def _run(self, procedure: Procedure[T], timeout: Timeout) -> T:
        return self._transport.run(procedure, timeout)

    def _in_turn(
        self, procedure: LiveProcedure[T], perform: Callable[[Any], Outcome] | None = None, timeout: Timeout = None
    ) -> T:
        """Carry out a procedure that changes the numbering."""
        with self._turn:
            return self._transport.run(procedure, timeout) if perform is None else drive(procedure, perform)
