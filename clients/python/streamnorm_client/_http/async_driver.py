"""Runs procedures with asyncio; the asynchronous counterpart of `sync_driver`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Any, Callable, TypeVar, cast

import httpx

from streamnorm_client._calls.call import Call, Response, problem_of
from streamnorm_client._calls.retry import Outcome, Pause, Step
from streamnorm_client._errors import Closed, NotSupported, TransportError
from streamnorm_client._http import forks
from streamnorm_client._http.http1_pool import AsyncHttp1
from streamnorm_client._http.httpx_adapter import NO_ANSWER, Connection, Timeout, record, response_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Generator

T = TypeVar("T")


async def drive(procedure: Generator[Any, Any, T], perform: Callable[[Any], Awaitable[Any]]) -> T:
    """Run a procedure to its end and return its result."""
    try:
        step = next(procedure)
        while True:
            step = procedure.send(await perform(step))
    except StopIteration as end:
        return cast("T", end.value)
    finally:
        procedure.close()  # after a failed step; nested generators must not be left to the garbage collector


class AsyncTransport:
    """Like `Transport`, for asyncio."""

    def __init__(
        self,
        connection: Connection,
        retries: int,
        client: httpx.AsyncClient | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if client is not None and not connection.timeout_given:
            connection = connection._replace(timeout=client.timeout)
        self.connection = connection
        self.retries = retries
        self.is_foreign = client is not None or transport is not None
        self._owned = client is None
        self.http = client or httpx.AsyncClient(transport=transport, **connection.client_options())
        self._http1 = None if self.is_foreign or connection.is_proxied else AsyncHttp1(connection)
        self._closed = self._forked = False
        forks.register(self)

    async def run(self, procedure: Generator[Any, Any, T], timeout: Timeout = None) -> T:
        """Run a procedure; `timeout` applies to each of its calls."""
        return await drive(
            procedure, self.perform if timeout is None else functools.partial(self.perform, timeout=timeout)
        )

    async def perform(self, step: Step, timeout: Timeout = None) -> Outcome:
        """Perform one step: sleep, or send a call."""
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        self.check_open()
        try:
            return record(await self._send(step, timeout))
        except NO_ANSWER as error:
            return self.connection.failure(error)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self.connection.failure(error) from error

    async def _send(self, call: Call[Any], timeout: Timeout) -> Response:
        if self._http1 is not None:
            return await self._http1.send(call, self.connection.timeouts(timeout))
        return response_of(await self.http.request(**self.connection.request(call, timeout)))

    @contextlib.asynccontextmanager
    async def open(self, call: Call[Any], timeout: Timeout = None) -> AsyncIterator[httpx.Response]:
        """Send a call and stream its response, or upgrade its connection (101).

        Raises:
            TransportError: there was no answer.
            Problem: the answer is an error.

        """
        self.check_open()
        try:
            async with self.http.stream(**self.connection.request(call, timeout)) as response:
                if response.is_error:
                    await response.aread()
                    raise cast("Exception", problem_of(response_of(response)))
                yield response
        except (*NO_ANSWER, httpx.HTTPError, httpx.StreamError) as error:
            if isinstance(error, TransportError):
                raise
            raise self.connection.failure(error) from error

    def check_open(self) -> None:
        """Check that the client can be used.

        Raises:
            Closed: it was closed.
            NotSupported: its connections belong to the parent process.

        """
        if self._closed:
            raise Closed("the client is closed")
        if self._forked:
            raise NotSupported(
                "the http_client or transport of this client belongs to the parent process: make a client in the child"
            )

    async def close(self) -> None:
        """Close the connections, except the caller's own httpx client."""
        self._closed = True
        if self._http1 is not None:
            await self._http1.close()
        if self._owned:
            await self.http.aclose()

    def after_fork(self) -> None:
        """Open new connections in a forked child."""
        if self.is_foreign:
            self._forked = True
            return
        self.http = httpx.AsyncClient(**self.connection.client_options())
        self._http1 = None if self._http1 is None else AsyncHttp1(self.connection)
