"""The client that blocks; `streamnorm_client._async_client` has the same names for asyncio."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from streamnorm_client import _calls, _http
from streamnorm_client._live import Live
from streamnorm_client._retry import DEFAULT_RETRIES, Outcome, Step, Steps, ask
from streamnorm_client._sending import run, sender, take
from streamnorm_client._steps import StreamSteps

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from streamnorm_client._answers import Block, Configured, Denormalized, Health, Normalized, Profile, StreamInfo
    from streamnorm_client._flight import LiveSteps
    from streamnorm_client._outbox import Outbox

T = TypeVar("T")


class Client:
    """A connection to a streamnorm service; safe to use from several threads.

    `url` defaults to the environment's STREAMNORM_URL, else http://127.0.0.1:8000, and `key` to STREAMNORM_KEY.
    `timeout` is in seconds, for connecting and for each wait on the network. A call that got no answer, or was told
    to come later, is sent again up to `retries` times, after growing waits, where that cannot apply a reading twice.
    `transport` replaces httpx's own. `outbox` is a file for readings that are `put`, or an `Outbox` that says more.

    >>> with Client("http://127.0.0.1:8000") as client:
    ...     boiler = client.stream("boiler-7")
    >>> boiler
    <Stream 'boiler-7' of http://127.0.0.1:8000>
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        timeout: float = _http.DEFAULT_TIMEOUT,
        retries: int = DEFAULT_RETRIES,
        transport: httpx.BaseTransport | None = None,
        outbox: str | os.PathLike[str] | Outbox | None = None,
    ) -> None:
        options = _http.options(url, key, timeout)
        self._http = httpx.Client(transport=transport, **options)
        self._retries = retries
        self._streams: dict[str, Stream] = {}
        self._sender = None if outbox is None else sender(outbox, options)

    def stream(self, stream: str) -> Stream:
        """Return the handle of a stream: the same one each time, for it numbers the stream's readings."""
        return self._streams.get(stream) or self._streams.setdefault(stream, Stream(self, stream))

    def streams(self, prefix: str = "") -> Iterator[StreamInfo]:
        """List the streams whose ids start with `prefix`, in order; pages are fetched as they are needed."""
        after: str | None = ""
        while after is not None:
            page = self._run(ask(_calls.streams(prefix, after), self._retries))
            yield from page.streams
            after = page.next

    def bulk(self, readings: Iterable[Mapping[str, Any]]) -> list[Normalized]:
        """Observe readings of many streams in one request.

        A reading is `{"stream": …, "values": …}`, and `timestamp` and `seq` at will. One bad reading refuses them all.
        The handles do not number them: unless each has a `seq`, a request without answer is not sent again.
        """
        return self._run(ask(_calls.many(readings), self._retries))

    def health(self) -> Health:
        """Ask whether the service is alive."""
        return self._run(ask(_calls.health(), self._retries))

    @property
    def waiting(self) -> int:
        """How many readings wait in the outbox."""
        return 0 if self._sender is None else self._sender.waiting

    def flush(self, timeout: float | None = None, progress: Callable[[int, int], object] | None = None) -> bool:
        """Send what waits in the outbox now; returns whether all of it was sent within `timeout` seconds.

        `progress(done, total)` is called after each block.
        """
        return self._sender is None or self._sender.flush(timeout, progress)

    def close(self) -> None:
        """Close the connections; what waits in the outbox stays there for the next client."""
        if self._sender is not None:
            self._sender.close()
        self._http.close()

    def __enter__(self) -> Self:
        """Use the client in a `with` statement, which closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        """Carry out a procedure."""
        return run(steps, self._take)

    def _take(self, step: Step) -> Outcome:
        return take(self._http, step)


class Stream:
    """The handle of one stream, made by `Client.stream`.

    It numbers its readings, so that a reading that must be sent twice is applied once; for that it asks the service
    for the stream's `last_seq` before the first one. Readings of several threads are sent one after the other.
    `streamnorm_client._numbering` tells what happens where two programs write to one stream.
    """

    def __init__(self, client: Client, stream: str) -> None:
        self._client = client
        self._steps = StreamSteps(stream, client._retries, client._sender)  # noqa: SLF001 - one thing with its client
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        """Tell the stream and where it is."""
        return f"<Stream {self.id!r} of {self._client._http.base_url}>"  # noqa: SLF001

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Stay the one handle of the stream where an estimator that holds it is cloned."""
        return self

    @property
    def id(self) -> str:
        """The stream's id."""
        return self._steps.stream

    def observe(
        self, values: Any, *, timestamp: Any = None, stats: bool = False, seq: int | None = None, numbered: bool = True
    ) -> Normalized:
        """Normalize a reading and learn from it.

        `values` is a dict of features or a sequence; a feature is a number, or an array (a channel); None, or NaN, is a
        missing value. `timestamp` is a datetime with a time zone, RFC 3339 or epoch seconds. `stats=True` adds mean and
        standard deviation. `seq` numbers the reading yourself; `numbered=False` sends it without a number, and then
        a request without answer raises TransportError instead of being sent again.
        """
        return self._in_turn(self._steps.observe(values, timestamp, stats=stats, seq=seq, numbered=numbered))

    def live(self) -> Live:
        """Open a WebSocket for readings one after the other, at less cost than a request each; needs the extra `live`.

        ```python
        with client.stream("boiler-7").live() as live:
            live.observe({"temp": 21.4})
        ```
        """
        client = self._client
        return Live(self._steps, client._http, client._take, self._in_turn)  # noqa: SLF001

    def put(self, values: Any, *, timestamp: Any = None) -> None:
        """Keep a reading in the client's outbox, from where it is sent as soon as the service is there.

        It is safe when this returns. `timestamp` is now if it is not given. From then on the outbox numbers the
        stream's readings, so `observe` and `bulk` refuse to.
        """
        self._steps.put(values, timestamp)

    def normalize(self, values: Any, *, timestamp: Any = None, stats: bool = False) -> Normalized:
        """Normalize a reading and leave the stream as it is; a feature never seen gives None."""
        reading = _calls.reading(values, timestamp)
        return self._run(self._steps.asking(_calls.normalize(self.id, reading, stats=stats)))

    def denormalize(self, values: Any) -> Denormalized:
        """Bring normalized values back into the sensors' units, with today's statistics."""
        return self._run(self._steps.asking(_calls.denormalize(self.id, values)))

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
    ) -> Block:
        """Observe many readings, in order, with a request per block of 10 000 rows or 8 MiB.

        `rows` are lists, dicts, a 2-D NumPy array (readings, features) or a pandas DataFrame; the answer's `values` are
        of the same type, with NaN for missing values in arrays and frames, and a frame keeps its index and columns.
        `features` names the columns, `timestamps` has one per row. `progress(done, total)` is called after each block.
        `seq` is the first row's number, `learn=False` only normalizes. An error part-way tells in `rows_done` how
        many rows were applied before.
        """
        return self._in_turn(
            self._steps.bulk(rows, features, timestamps, seq=seq, numbered=numbered, learn=learn, progress=progress)
        )

    def configure(self, **config: Any) -> Configured:
        """Create the stream, or replace its configuration: `configure(method="adaptive", warmup=64)`.

        Parameters that are not named take the service's defaults. The answer's `restarted` tells whether the
        statistics began anew.
        """
        return self._in_turn(self._steps.changing(_calls.configure(self.id, config)))

    def info(self) -> StreamInfo:
        """Read the stream's configuration and counters."""
        return self._run(self._steps.asking(_calls.info(self.id)))

    def profile(self) -> Profile:
        """Read what the service knows of each feature, and what kind of sensor it takes it for."""
        return self._run(self._steps.asking(_calls.profile(self.id)))

    def snapshot(self) -> dict[str, Any]:
        """Export the stream's whole state as plain JSON data."""
        return self._run(self._steps.asking(_calls.snapshot(self.id)))

    def restore(self, snapshot: Mapping[str, Any]) -> StreamInfo:
        """Put a snapshot in the stream's place."""
        return self._in_turn(self._steps.changing(_calls.restore(self.id, snapshot)))

    def merge(self, snapshot: Mapping[str, Any]) -> StreamInfo:
        """Merge a snapshot in, as if the stream had seen its readings too.

        It is not sent again once it may have arrived: twice would count the readings twice.
        """
        return self._in_turn(self._steps.changing(_calls.merge(self.id, snapshot)))

    def reset(self) -> StreamInfo:
        """Discard the statistics and keep the configuration."""
        return self._in_turn(self._steps.changing(_calls.reset(self.id)))

    def delete(self) -> None:
        """Delete the stream."""
        self._in_turn(self._steps.delete())

    def _run(self, steps: Steps[T]) -> T:
        return self._client._run(steps)  # noqa: SLF001

    def _in_turn(self, steps: LiveSteps[T], take: Callable[[Any], Outcome] | None = None) -> T:
        """Carry out a procedure that changes the numbering."""
        with self._turn:
            return run(steps, take or self._client._take)  # noqa: SLF001
