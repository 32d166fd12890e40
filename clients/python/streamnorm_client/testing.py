"""An in-memory service to test programs that use this client: no network, no files, the real engine.

It needs the package `streamnorm` (`pip install streamnorm`), which is imported when a service is created.
The pytest fixture `streamnorm_service` needs no import:

```python
def test_my_program(streamnorm_service):
    my_program(streamnorm_service.client())
    assert streamnorm_service.client().stream("boiler-7").info().count == 3
```
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from typing import TYPE_CHECKING, Any

from streamnorm_client._async_client import AsyncClient
from streamnorm_client._client import Client
from streamnorm_client._errors import MissingDependency, StreamnormError
from streamnorm_client._memory.transport import AsyncInMemoryTransport, InMemoryTransport

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

URL = "http://streamnorm.test"  # a reserved name (RFC 6761)
SERVICE = "streamnorm.testing"
PATIENCE = 60.0  # seconds, for a start; kernels may compile


class InMemoryService:
    """A service in this process: `with InMemoryService() as service: service.client()`.

    It runs in a separate thread, and keeps no state when it stops. Its clients use `transport` (for `Client`) and
    `async_transport` (for `AsyncClient`), which can also be passed to a program that accepts a transport.

    Raises:
        MissingDependency: streamnorm is not installed.

    """

    def __init__(self) -> None:
        try:
            self._app = importlib.import_module(SERVICE).application()
        except ModuleNotFoundError as error:
            raise MissingDependency("an in-memory service needs the service itself: pip install streamnorm") from error
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="streamnorm in memory", daemon=True)
        self._lifespan: Any = None
        self.url = URL
        self.transport = InMemoryTransport(self._app, self._loop)
        self.async_transport = AsyncInMemoryTransport(self.transport)

    def client(self, **options: Any) -> Client:
        """Return a client of the service; `options` are those of `Client`."""
        return Client(self.url, **{"retries": 0, "transport": self.transport, **options})

    def async_client(self, **options: Any) -> AsyncClient:
        """Return an asynchronous client of the service; `options` are those of `AsyncClient`."""
        return AsyncClient(self.url, **{"retries": 0, "transport": self.async_transport, **options})

    def start(self) -> Self:
        """Start the service.

        Raises:
            StreamnormError: the service failed to start.

        """
        self._thread.start()
        self._signal("startup")
        return self

    def stop(self) -> None:
        """Stop the service and discard its state."""
        self._signal("shutdown")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _signal(self, what: str) -> None:
        """Start or end the application's lifespan (ASGI), and wait for its confirmation."""
        answer = asyncio.run_coroutine_threadsafe(self._exchange(f"lifespan.{what}"), self._loop).result(PATIENCE)
        if answer["type"].endswith(".failed"):
            raise StreamnormError(f"the in-memory service failed: {answer.get('message')}")

    async def _exchange(self, kind: str) -> dict[str, Any]:
        self._answered: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        if self._lifespan is None:
            self._requests: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
            scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
            self._lifespan = self._loop.create_task(self._app(scope, self._requests.get, self._answer))
        await self._requests.put({"type": kind})
        return await self._answered

    async def _answer(self, message: dict[str, Any]) -> None:
        self._answered.set_result(message)

    def __enter__(self) -> Self:
        """Start the service."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the service."""
        self.stop()
