"""One request on its way through: what the guard needs to know of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

from streamnorm.auth.api_keys import ApiKey
from streamnorm.errors import Overloaded, StreamnormError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive, Send

NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
CONTENT_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: of everything that may be a page
PAGE_HEADERS: Final = [
    NOSNIFF,
    (b"content-security-policy", CONTENT_POLICY),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


class BodyMemoryBudget:
    """The bytes of bodies being received or worked on, of all requests together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0


class RequestState:
    """Counts what comes in, notes what goes out, and adds headers to it."""

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
        #: whom it is counted for, where it is
        self.client = ""
        self.live = False
        #: may be answered by a page
        self.page = False
        self.caller: ApiKey | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        #: bytes of the body that came
        self.arrived = 0
        #: bytes held in memory for it
        self.held = 0
        #: waiting for more of the body
        self.receiving = False
        #: told off for being too slow
        self.late = False
        self.status = 0
        #: why the caller may not go on, where that is so
        self.revoked: StreamnormError | None = None
        self._end: Callable[[StreamnormError], None] | None = None

    def on_revoked(self, end: Callable[[StreamnormError], None]) -> None:
        """Have `end` called once the caller may not go on, which may be now; it ends what is open, with the reason."""
        self._end = end
        if self.revoked is not None:
            end(self.revoked)

    def revoke(self, reason: StreamnormError) -> None:
        """Have what is open end: its caller may not go on."""
        if self.revoked is None:
            self.revoked = reason
            if self._end is not None:
                self._end(reason)

    @property
    def raw_channel(self) -> tuple[Receive, Send]:
        """The server's own ends, for a connection that lives on: nothing more of it is counted or added."""
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
            self.arrived = -1  # the whole body came; what follows is only the end of the connection
        return message

    async def send(self, message: Message) -> None:
        """Send to the server."""
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
            given = message.get("headers", ())
            message["headers"] = [*given, *self.headers]
            if self.page:  # what a page says itself goes before
                names = {name for name, _ in given}
                message["headers"] += [header for header in PAGE_HEADERS if header[0] not in names]
        elif kind in {"websocket.accept", "websocket.http.response.start"}:
            message["headers"] = [*message.get("headers", ()), *self.headers[:1]]
        await self._send(message)

    def reserve(self, size: int) -> None:
        """Take memory for bytes of a body, which it gives back at its end.

        Raises:
            Overloaded: with the others' it would be too much; one alone is bounded by its own limit.

        """
        pending = self._pending
        if pending.taken + size > pending.limit and pending.taken > self.held:
            raise Overloaded(f"bodies being worked on would pass {pending.limit} bytes, the limit (max_pending_bytes)")
        pending.taken += size
        self.held += size

    def time_out(self) -> None:
        """End it for being too slow, unless it is being answered: then it may take its time."""
        if not self.late and not self.status:
            self.late = True
            self.task.cancel()

    def end(self) -> None:
        """Restore what it holds."""
        self._pending.taken -= self.held
        self.held = 0
