"""The client that blocks; `streamnorm_client._async_client` has the same names for asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamnorm_client import _http_adapter, _requests
from streamnorm_client._events import Event, EventSource
from streamnorm_client._outbox import Outbox, Sender
from streamnorm_client._retry import DEFAULT_RETRIES, Pause, ask
from streamnorm_client._stream import Stream
from streamnorm_client._sync_driver import Transport

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    import httpx
    from typing_extensions import Self

    from streamnorm_client._http_adapter import Cert, Timeout, Verify
    from streamnorm_client._models import Health, Normalized, Page, StreamInfo
    from streamnorm_client._requests import Response


class Client:
    """A connection to a streamnorm service; safe to use from several threads, and in forked children.

    `url` defaults to the environment's STREAMNORM_URL, else http://127.0.0.1:8000, and `key` to STREAMNORM_KEY.
    `timeout` is in seconds (30), for connecting and for each wait on the network, or an `httpx.Timeout`; every call
    takes one of its own. A call that got no answer, or was told to come later, is sent again up to `retries` times,
    after growing waits, where that cannot apply a reading twice; the logger `streamnorm_client` hears of it.

    `headers` go with every call. `verify` is False, a file or folder of certificates or an `ssl.SSLContext`; `cert` is
    the client's own certificate, a file or (certificate, key, password). `proxy` is a URL; without it httpx reads the
    environment. `http_client` is an `httpx.Client` of your own, which you close; `transport` replaces httpx's own.
    Live connections and events go the same way. `outbox` is a file for readings that are `put`, or an `Outbox` that
    says more.

    Raises:
        InvalidArgument: the URL, or a certificate, is none.
        OutboxError: the outbox cannot be opened.

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
        timeout: Timeout = None,
        retries: int = DEFAULT_RETRIES,
        headers: Mapping[str, str] | None = None,
        verify: Verify = True,
        cert: Cert = None,
        proxy: str | None = None,
        http_client: httpx.Client | None = None,
        transport: httpx.BaseTransport | None = None,
        outbox: str | os.PathLike[str] | Outbox | None = None,
    ) -> None:
        connection = _http_adapter.connection(url, key, timeout, headers, verify, cert, proxy)
        self._transport = Transport(connection, retries, http_client, transport)
        self._streams: dict[str, Stream] = {}
        self._sender = None
        if outbox is not None:
            self._sender = Sender(outbox, Transport(connection, retries, http_client, transport))

    def __repr__(self) -> str:
        """Return where the service is."""
        return f"<{type(self).__name__} of {self._transport.connection.url}>"

    def stream(self, stream: str) -> Stream:
        """Return the handle of a stream: the same one each time, for it numbers the stream's readings.

        Raises:
            InvalidArgument: no stream can have this id.

        """
        return self._streams.get(stream) or self._streams.setdefault(
            stream, Stream(stream, self._transport, self._sender)
        )

    def streams(self, prefix: str = "", *, timeout: Timeout = None) -> Iterator[StreamInfo]:
        """Iterate over the streams whose ids start with `prefix`, in order; pages are fetched as they are needed."""
        for page in self.pages(prefix, timeout=timeout):
            yield from page.streams

    def pages(
        self, prefix: str = "", *, after: str = "", size: int = _requests.PAGE_SIZE, timeout: Timeout = None
    ) -> Iterator[Page]:
        """Iterate over the list of streams page by page, of at most `size` streams each.

        `after` is a page's `next`, to go on from there.
        """
        start: str | None = after
        while start is not None:
            call = _requests.streams(prefix, start, size)
            page = self._transport.run(ask(call, self._transport.retries), timeout)
            yield page
            start = page.next

    def events(self, *streams: str, prefix: str = "", history: bool = False, latest: bool = False) -> Iterator[Event]:
        """Iterate over what is observed, as it is observed, without end: of these `streams`, or of all.

        `prefix` keeps to streams whose ids start with it. `history` begins with the recent past of each named stream;
        `latest` tells once a second the latest reading of every stream. Where the connection is lost it is made again,
        after the last event that had an id where the service gives ids; once it stood, it is tried without end.

        ```python
        for event in client.events("boiler-7"):
            if event.type == "reading":
                print(event.data["normalized"])
        ```

        Raises:
            StreamnormError: the service refuses it, or could not be reached at first.

        """
        source = EventSource(_requests.events(streams, prefix, history=history, latest=latest), self._transport)
        while True:
            try:
                with self._transport.open(source.call(), source.timeout) as response:
                    for data in response.iter_bytes():
                        yield from source.receive(data)
                    raise source.ended()
            except source.ERRORS as error:
                pause = Pause(source.delay_after(error))
            self._transport.perform(pause)

    def bulk(self, readings: Iterable[Mapping[str, Any]], *, timeout: Timeout = None) -> list[Normalized]:
        """Observe readings of many streams in one request.

        A reading is `{"stream": …, "values": …}`, and `timestamp` and `seq` at will. One bad reading refuses them all.
        The handles do not number them: unless each has a `seq`, a request without answer is not sent again.
        """
        return self._transport.run(ask(_requests.many(readings), self._transport.retries), timeout)

    def health(self, *, timeout: Timeout = None) -> Health:
        """Ask whether the service is alive."""
        return self._transport.run(ask(_requests.health(), self._transport.retries), timeout)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        timeout: Timeout = None,
    ) -> Response:
        """Send a request to any path of the service, with the key and the retries of other calls.

        Returns the response as it came: `status`, `headers`, `body`, `json()`.

        Raises:
            StreamnormError: as other calls; an error status is a `Problem`.

        """
        content = None if json is None else _requests.encode(json)
        call = _requests.any_path(method, path, params, content)
        return self._transport.run(ask(call, self._transport.retries), timeout)

    def record_responses(self) -> AbstractContextManager[list[Response]]:
        """Record the responses as they come, those that were tried again included.

        ```python
        with client.record_responses() as responses:
            client.stream("boiler-7").observe({"temp": 21.4})
        print(responses[-1].request_id, responses[-1].headers)
        ```
        """
        return _http_adapter.record_responses()

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
        self._transport.close()

    def __enter__(self) -> Self:
        """Use the client in a `with` statement, which closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()
