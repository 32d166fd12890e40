"""The state of a request in progress, as the admission middleware tracks it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

from streamnorm.auth.api_keys import ApiKey
from streamnorm.compat import uvicorn
from streamnorm.errors import Overloaded, StreamnormError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive, Send

NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
CONTENT_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: headers of all responses that may be pages
PAGE_HEADERS: Final = [
    NOSNIFF,
    (b"content-security-policy", CONTENT_POLICY),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


class BodyMemoryBudget:
    """The bytes of request bodies held in memory, over all requests in progress."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0


class RequestState:
    """Wraps the ASGI channels of a request: tracks the body and the status, and adds response headers.

    `receive` and `send` are the server's channels, `pending` is the shared memory budget, `began` the time of arrival
    in seconds of `perf_counter`.
    """

    __slots__ = (
        "_end",
        "_pending",
        "_receive",
        "_send",
        "arrived",
        "began",
        "caller",
        "client",
        "headers",
        "held",
        "late",
        "live",
        "page",
        "receiving",
        "revoked",
        "status",
        "task",
    )

    def __init__(self, receive: Receive, send: Send, pending: BodyMemoryBudget, began: float) -> None:
        self._receive = receive
        self._send = send
        self._pending = pending
        self.began = began
        self.task = cast("asyncio.Task[Any]", asyncio.current_task())
        #: the client that it is counted for; empty if it is not counted
        self.client = ""
        self.live = False
        #: whether the response may be a page
        self.page = False
        self.caller: ApiKey | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        #: bytes of the body received so far; -1 once it is complete
        self.arrived = 0
        #: bytes reserved in the memory budget
        self.held = 0
        #: whether the handler is waiting for more of the body
        self.receiving = False
        #: timed out (408)
        self.late = False
        self.status = 0
        #: why the caller's authorization was revoked; None while it is valid
        self.revoked: StreamnormError | None = None
        self._end: Callable[[StreamnormError], None] | None = None

    def on_revoked(self, end: Callable[[StreamnormError], None]) -> None:
        """Call `end` with the reason when the caller's authorization is revoked, immediately if it already is."""
        self._end = end
        if self.revoked is not None:
            end(self.revoked)

    def revoke(self, reason: StreamnormError) -> None:
        """End the request's open connection, because its caller's authorization was revoked."""
        if self.revoked is None:
            self.revoked = reason
            if self._end is not None:
                self._end(reason)

    @property
    def raw_channel(self) -> tuple[Receive, Send]:
        """The server's own channels, for long-lived connections that need no further tracking."""
        return self._receive, self._send

    async def receive(self) -> Message:
        """Receive from the server."""
        if self.arrived < 0:
            return await self._receive()
        self.receiving = True
        message = await self._receive()
        self.receiving = False
        if message["type"] == "http.request" and message.get("more_body"):
            self.arrived += len(message["body"])
        else:
            self.arrived = -1  # the body is complete; only the end of the connection can follow
        return message

    async def receive_into(self, room: memoryview) -> int:
        """Receive the rest of the body, `len(room)` bytes, into `room`; see `streamnorm.compat.uvicorn.receive_into`.

        Raises:
            Overloaded: as `reserve` says.

        """

        def note(size: int) -> None:
            self.arrived += size
            self.reserve(size)

        self.receiving = True
        size = await uvicorn.receive_into(self._receive, room, note)
        self.receiving = False
        return size

    async def send(self, message: Message) -> None:
        """Send to the server."""
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
            own = message.get("headers", ())
            message["headers"] = [*own, *self.headers]
            if self.page:  # headers set by the handler take precedence
                names = {name for name, _ in own}
                message["headers"] += [header for header in PAGE_HEADERS if header[0] not in names]
        elif kind in {"websocket.accept", "websocket.http.response.start"}:
            message["headers"] = [*message.get("headers", ()), *self.headers[:1]]
        await self._send(message)

    def reserve(self, size: int) -> None:
        """Reserve memory for `size` bytes of the body until the request ends.

        Raises:
            Overloaded: the budget is exhausted; a request alone is only bounded by its own limit.

        """
        pending = self._pending
        if pending.taken + size > pending.limit and pending.taken > self.held:
            raise Overloaded(f"the bodies in memory would exceed {pending.limit} bytes, the limit (max_pending_bytes)")
        pending.taken += size
        self.held += size

    def time_out(self) -> None:
        """Cancel the request for sending its body too slowly, unless its response has started."""
        if not self.late and not self.status:
            self.late = True
            self.task.cancel()

    def end(self) -> None:
        """Release the reserved memory."""
        self._pending.taken -= self.held
        self.held = 0
