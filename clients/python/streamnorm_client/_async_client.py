"""The client for asyncio: the same names as `streamnorm_client._client`, where they are explained."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx

from streamnorm_client import _calls, _http
from streamnorm_client._live import AsyncLive
from streamnorm_client._retry import DEFAULT_RETRIES, Outcome, Pause, Step, Steps, ask
from streamnorm_client._sending import sender
from streamnorm_client._steps import StreamSteps

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from streamnorm_client._answers import Block, Configured, Denormalized, Health, Normalized, Profile, StreamInfo
    from streamnorm_client._flight import LiveSteps
    from streamnorm_client._outbox import Outbox

T = TypeVar("T")


class AsyncClient:
    """Like `Client`, for asyncio: every call is awaited, `streams` is an asynchronous iterator.

    >>> async def main() -> None:
    ...     async with AsyncClient("http://127.0.0.1:8000") as client:
    ...         print(client.stream("boiler-7"))
    >>> asyncio.run(main())
    <AsyncStream 'boiler-7' of http://127.0.0.1:8000>
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        timeout: float = _http.DEFAULT_TIMEOUT,
        retries: int = DEFAULT_RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
        outbox: str | os.PathLike[str] | Outbox | None = None,
    ) -> None:
        options = _http.options(url, key, timeout)
        self._http = httpx.AsyncClient(transport=transport, **options)
        self._retries = retries
        self._streams: dict[str, AsyncStream] = {}
        self._sender = None if outbox is None else sender(outbox, options)

    def stream(self, stream: str) -> AsyncStream:
        """Like `Client.stream`."""
        return self._streams.get(stream) or self._streams.setdefault(stream, AsyncStream(self, stream))

    async def streams(self, prefix: str = "") -> AsyncIterator[StreamInfo]:
        """Like `Client.streams`."""
        after: str | None = ""
        while after is not None:
            page = await self._run(ask(_calls.streams(prefix, after), self._retries))
            for info in page.streams:
                yield info
            after = page.next

    async def bulk(self, readings: Iterable[Mapping[str, Any]]) -> list[Normalized]:
        """Like `Client.bulk`."""
        return await self._run(ask(_calls.many(readings), self._retries))

    async def health(self) -> Health:
        """Like `Client.health`."""
        return await self._run(ask(_calls.health(), self._retries))

    @property
    def waiting(self) -> int:
        """Like `Client.waiting`."""
        return 0 if self._sender is None else self._sender.waiting

    async def flush(self, timeout: float | None = None, progress: Callable[[int, int], object] | None = None) -> bool:
        """Like `Client.flush`; `progress` is called in another thread."""
        return self._sender is None or await asyncio.get_running_loop().run_in_executor(
            None, self._sender.flush, timeout, progress
        )

    async def close(self) -> None:
        """Like `Client.close`."""
        if self._sender is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._sender.close)
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Use the client in an `async with` statement, which closes it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def _run(self, steps: LiveSteps[T], take: Callable[[Any], Awaitable[Outcome]] | None = None) -> T:
        """Carry out a procedure."""
        carry: Callable[[Any], Awaitable[Outcome]] = take or self._take
        try:
            step = next(steps)
            while True:
                step = steps.send(await carry(step))
        except StopIteration as end:
            return cast("T", end.value)

    async def _take(self, step: Step) -> Outcome:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        try:
            return _http.reply(await self._http.request(**_http.request(step)))
        except _http.NO_ANSWER as error:
            return _http.failure(error, self._http.base_url)


class AsyncStream:
    """Like `Stream`, for asyncio: readings of several tasks are sent one after the other."""

    def __init__(self, client: AsyncClient, stream: str) -> None:
        self._client = client
        self._steps = StreamSteps(stream, client._retries, client._sender)  # noqa: SLF001 - one thing with its client
        self._turn: asyncio.Lock | None = None  # Python 3.9 binds a lock to the loop that it is made in

    def __repr__(self) -> str:
        """Tell the stream and where it is."""
        return f"<AsyncStream {self.id!r} of {self._client._http.base_url}>"  # noqa: SLF001

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Like `Stream.__deepcopy__`."""
        return self

    @property
    def id(self) -> str:
        """The stream's id."""
        return self._steps.stream

    async def observe(
        self, values: Any, *, timestamp: Any = None, stats: bool = False, seq: int | None = None, numbered: bool = True
    ) -> Normalized:
        """Like `Stream.observe`."""
        return await self._in_turn(self._steps.observe(values, timestamp, stats=stats, seq=seq, numbered=numbered))

    def live(self) -> AsyncLive:
        """Like `Stream.live`."""
        client = self._client
        return AsyncLive(self._steps, client._http, client._take, self._in_turn)  # noqa: SLF001

    async def put(self, values: Any, *, timestamp: Any = None) -> None:
        """Like `Stream.put`; SQLite takes some ten microseconds, which is no reason to go to another thread."""
        self._steps.put(values, timestamp)

    async def normalize(self, values: Any, *, timestamp: Any = None, stats: bool = False) -> Normalized:
        """Like `Stream.normalize`."""
        reading = _calls.reading(values, timestamp)
        return await self._run(self._steps.asking(_calls.normalize(self.id, reading, stats=stats)))

    async def denormalize(self, values: Any) -> Denormalized:
        """Like `Stream.denormalize`."""
        return await self._run(self._steps.asking(_calls.denormalize(self.id, values)))

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
    ) -> Block:
        """Like `Stream.bulk`."""
        return await self._in_turn(
            self._steps.bulk(rows, features, timestamps, seq=seq, numbered=numbered, learn=learn, progress=progress)
        )

    async def configure(self, **config: Any) -> Configured:
        """Like `Stream.configure`."""
        return await self._in_turn(self._steps.changing(_calls.configure(self.id, config)))

    async def info(self) -> StreamInfo:
        """Like `Stream.info`."""
        return await self._run(self._steps.asking(_calls.info(self.id)))

    async def profile(self) -> Profile:
        """Like `Stream.profile`."""
        return await self._run(self._steps.asking(_calls.profile(self.id)))

    async def snapshot(self) -> dict[str, Any]:
        """Like `Stream.snapshot`."""
        return await self._run(self._steps.asking(_calls.snapshot(self.id)))

    async def restore(self, snapshot: Mapping[str, Any]) -> StreamInfo:
        """Like `Stream.restore`."""
        return await self._in_turn(self._steps.changing(_calls.restore(self.id, snapshot)))

    async def merge(self, snapshot: Mapping[str, Any]) -> StreamInfo:
        """Like `Stream.merge`."""
        return await self._in_turn(self._steps.changing(_calls.merge(self.id, snapshot)))

    async def reset(self) -> StreamInfo:
        """Like `Stream.reset`."""
        return await self._in_turn(self._steps.changing(_calls.reset(self.id)))

    async def delete(self) -> None:
        """Like `Stream.delete`."""
        await self._in_turn(self._steps.delete())

    async def _run(self, steps: Steps[T]) -> T:
        return await self._client._run(steps)  # noqa: SLF001

    async def _in_turn(self, steps: LiveSteps[T], take: Callable[[Any], Awaitable[Outcome]] | None = None) -> T:
        """Carry out a procedure that changes the numbering."""
        if self._turn is None:
            self._turn = asyncio.Lock()
        async with self._turn:
            return await self._client._run(steps, take)  # noqa: SLF001
