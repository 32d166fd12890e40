"""The client for asyncio, with the same interface as `streamnorm_client._client`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from streamnorm_client._async_stream import AsyncStream
from streamnorm_client._calls import requests
from streamnorm_client._calls.call import encode
from streamnorm_client._calls.retry import DEFAULT_RETRIES, Pause, ask
from streamnorm_client._errors import NotSupported
from streamnorm_client._http import httpx_adapter
from streamnorm_client._http.async_driver import AsyncTransport
from streamnorm_client._http.events import Event, EventSource
from streamnorm_client._http.sync_driver import Transport
from streamnorm_client._outbox.sender import Outbox, Sender

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    import httpx
    from typing_extensions import Self

    from streamnorm_client._calls.call import Call, Response
    from streamnorm_client._http.httpx_adapter import Cert, Timeout, Verify
    from streamnorm_client._models import Health, Normalized, Page, Refusal, ReloadedConfig, StreamInfo

T = TypeVar("T")


class AsyncClient:
    """A connection to a streamnorm service; safe to use from several tasks, and in forked children.

    `url` defaults to the environment variable STREAMNORM_URL, else http://127.0.0.1:8000, and `key` to STREAMNORM_KEY.
    `timeout` is in seconds (30), for connecting and for each network operation, or an `httpx.Timeout`; every call can
    override it. A call without an answer, or with a transient error, is retried up to `retries` times with exponential
    backoff, provided that this cannot apply a reading twice; the logger `streamnorm_client` logs retries.

    `headers` are sent with every call. `verify` is False, a file or folder of certificates or an `ssl.SSLContext`;
    `cert` is the client's own certificate, a file or (certificate, key, password). `proxy` is a URL; by default
    httpx reads the environment. `http_client` is your own `httpx.AsyncClient`, which you close; `transport` replaces
    that of httpx. Live connections and events use the same connection settings. `outbox` is a file for the readings of
    `put`, or an `Outbox` with more options.

    Raises:
        InvalidArgument: the URL, or a certificate, is invalid.
        OutboxError: the outbox cannot be opened.

    >>> async def main():
    ...     async with AsyncClient("http://127.0.0.1:8000") as client:
    ...         return client.stream("boiler-7")
    >>> asyncio.run(main())
    <AsyncStream 'boiler-7' of http://127.0.0.1:8000>
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        timeout: Timeout = None,
        retries: int = DEFAULT_RETRIES,
        headers: Mapping[str, str] | None = None,
        verify: Verify = True,
        cert: Cert = None,
        proxy: str | None = None,
        http_client: httpx.AsyncClient | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        outbox: str | os.PathLike[str] | Outbox | None = None,
    ) -> None:
        connection = httpx_adapter.connection(url, key, timeout, headers, verify, cert, proxy)
        self._transport = AsyncTransport(connection, retries, http_client, transport)
        self._streams: dict[str, AsyncStream] = {}
        self._sender = None
        if outbox is not None:
            if self._transport.is_foreign:
                raise NotSupported(
                    "an outbox sends in a thread, with no asynchronous http_client or transport: use Client"
                )
            self._sender = Sender(outbox, Transport(connection, retries))

    def __repr__(self) -> str:
        """Return a representation with the service's URL."""
        return f"<{type(self).__name__} of {self._transport.connection.url}>"

    def stream(self, stream: str) -> AsyncStream:
        """Return the handle of a stream: always the same one, because it numbers the stream's readings.

        Raises:
            InvalidArgument: the id is invalid.

        """
        return self._streams.get(stream) or self._streams.setdefault(
            stream, AsyncStream(stream, self._transport, self._sender)
        )

    async def streams(
        self, prefix: str = "", *, kinds: bool = False, timeout: Timeout = None
    ) -> AsyncIterator[StreamInfo]:
        """Iterate over the streams whose ids start with `prefix`, in order; pages are fetched on demand.

        `kinds` also counts the features of each stream by kind of sensor.
        """
        async for page in self.pages(prefix, kinds=kinds, timeout=timeout):
            for info in page.streams:
                yield info

    async def pages(
        self,
        prefix: str = "",
        *,
        after: str = "",
        size: int = requests.PAGE_SIZE,
        kinds: bool = False,
        timeout: Timeout = None,
    ) -> AsyncIterator[Page]:
        """Iterate over the list of streams page by page, of at most `size` streams each.

        `after` is the `next` of a page, to continue from there; `kinds` is as in `streams`.
        """
        start: str | None = after
        while start is not None:
            page = await self._ask(requests.streams(prefix, start, size, kinds=kinds), timeout)
            yield page
            start = page.next

    async def events(
        self, *streams: str, prefix: str = "", history: bool = False, latest: bool = False
    ) -> AsyncIterator[Event]:
        """Iterate over events as readings are observed, without end: of these `streams`, or of all.

        `prefix` selects streams whose ids start with it. `history` begins with the recent history of each named stream;
        `latest` adds the latest reading of every stream once a second. A lost connection is reopened, after the last
        event id if the service sends ids; after the first successful connection, without a limit on retries.

        ```python
        async for event in client.events("boiler-7"):
            if event.type == "reading":
                print(event.data["normalized"])
        ```

        Raises:
            StreamnormError: the service rejects the request, or the first connection fails.

        """
        source = EventSource(requests.events(streams, prefix, history=history, latest=latest), self._transport)
        while True:
            try:
                async with self._transport.open(source.call(), source.timeout) as response:
                    async for data in response.aiter_bytes():
                        for event in source.receive(data):
                            yield event
                    raise source.ended()
            except source.ERRORS as error:
                pause = Pause(source.delay_after(error))
            await self._transport.perform(pause)

    async def bulk(
        self, readings: Iterable[Mapping[str, Any]], *, learn: bool = True, timeout: Timeout = None
    ) -> list[Normalized]:
        """Observe readings of many streams in one request; `learn=False` only normalizes them.

        A reading is `{"stream": …, "values": …}`, optionally with `timestamp` and `seq`. One invalid reading rejects
        all of them. The handles do not number them: unless each has a `seq`, a request without an answer is not
        retried.
        """
        return await self._ask(requests.many(readings, learn=learn), timeout)

    async def ingest(
        self,
        mapping: str,
        message: Any,
        *,
        content_type: str | None = None,
        topic: str = "",
        names: Mapping[str, str] | None = None,
        learn: bool = True,
        timeout: Timeout = None,
    ) -> list[Normalized]:
        """Observe a device's own message, from which a mapping or preset of the service makes readings.

        `message` is sent as JSON, or, if it is bytes or has a `content_type`, as it is. `topic` stands for its MQTT
        topic; `names` are for the placeholders of the mapping's `stream`. It is not retried once it may have arrived.

        Raises:
            MappingNotFound: the service has no mapping and no preset of this name.

        """
        call = requests.ingest(mapping, message, content_type, topic, names or {}, learn=learn)
        return await self._ask(call, timeout)

    async def reload_config(self, *, timeout: Timeout = None) -> ReloadedConfig:
        """Reload the service's configuration file, its rules and mappings; on an error nothing changes."""
        return await self._ask(requests.reload_config(), timeout)

    async def refusals(self, *, timeout: Timeout = None) -> list[Refusal]:
        """List what the service refused since it started, by reason, with examples; needs the scope `admin`."""
        return await self._ask(requests.refusals(), timeout)

    async def health(self, *, timeout: Timeout = None) -> Health:
        """Check whether the service is alive."""
        return await self._ask(requests.health(), timeout)

    async def ready(self, *, timeout: Timeout = None) -> Health:
        """Check once, without retries, whether the service accepts readings, and whether its bridges work.

        Raises:
            NotReady: it is still preparing.
            StoreUnavailable: it cannot store readings.
            BridgeUnavailable: a bridge does not work.

        """
        return await self._transport.run(ask(requests.ready(), 0), timeout)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        timeout: Timeout = None,
    ) -> Response:
        """Send a request to any path of the service, with the key and the retries of other calls.

        Returns the raw response: `status`, `headers`, `body`, `json()`.

        Raises:
            StreamnormError: as other calls; an error status is a `Problem`.

        """
        content = None if json is None else encode(json)
        call = requests.any_path(method, path, params, content)
        return await self._ask(call, timeout)

    def record_responses(self) -> AbstractContextManager[list[Response]]:
        """Record the raw responses, including those that were retried.

        ```python
        with client.record_responses() as responses:
            await client.stream("boiler-7").observe({"temp": 21.4})
        print(responses[-1].request_id, responses[-1].headers)
        ```
        """
        return httpx_adapter.record_responses()

    @property
    def waiting(self) -> int:
        """The number of readings waiting in the outbox."""
        return 0 if self._sender is None else self._sender.waiting

    async def flush(self, timeout: float | None = None, progress: Callable[[int, int], object] | None = None) -> bool:
        """Send the outbox's waiting readings now; return whether all were sent within `timeout` seconds.

        `progress(done, total)` is called after each block.
        """
        return self._sender is None or await asyncio.get_running_loop().run_in_executor(
            None, self._sender.flush, timeout, progress
        )

    async def close(self) -> None:
        """Close the connections; waiting readings stay in the outbox for the next client."""
        if self._sender is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._sender.close)
        await self._transport.close()

    async def _ask(self, call: Call[T], timeout: Timeout) -> T:
        return await self._transport.run(ask(call, self._transport.retries), timeout)

    async def __aenter__(self) -> Self:
        """Use the client in an `async with` statement, which closes it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()
