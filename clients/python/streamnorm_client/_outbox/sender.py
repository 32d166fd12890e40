"""The outbox: readings are kept on disk until the service has them.

The rules, by which no reading is lost and none is applied twice, even if the client or the service is killed:

1. `put` returns when the reading is in the file. A thread sends waiting readings, in order, in blocks.
2. The outbox numbers a stream's readings after the service's `last_seq`, and stores the numbers before sending; no
   other client may number that stream.
3. Before every block the sender requests `last_seq`: readings up to that number were applied, even if the answer was
   lost; later ones were not, or were lost by a service that was killed, and are sent again.
4. Sent readings stay in the file for longer than the interval that a killed service can lose.
5. A reading that cannot be sent (the file was modified) is moved to a separate table, and one that the service rejects
   is dropped, so that neither blocks the others. Nor does one stream block another.
6. The file belongs to the process that opened it; in a forked child the outbox raises OutboxForked.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Union

from streamnorm_client._calls import requests
from streamnorm_client._calls.retry import FIRST_DELAY, PASSING, Procedure, ask
from streamnorm_client._calls.sequencing import last_seq
from streamnorm_client._errors import Closed, InvalidArgument, OutboxForked, StreamnormError, UnexpectedAnswer
from streamnorm_client._http import forks
from streamnorm_client._outbox.database import KeptReading, OutboxDatabase
from streamnorm_client._problems import BodyTooLarge, InvalidInput, Problem, StaleSequence

if TYPE_CHECKING:
    import os
    from typing import Any

    from streamnorm_client._http.sync_driver import Transport
    from streamnorm_client._models import Normalized

    Path = Union[str, os.PathLike[str]]

log = logging.getLogger(__name__)

DEFAULT_MAX_AGE = 7 * 86_400.0  # older readings are outdated as a baseline
DEFAULT_MAX_BYTES = 64 * 1024 * 1024  # half a million readings of a few features; small for any SD card
DEFAULT_BLOCK = 1_000  # some 100 kB per request
DEFAULT_LINGER = 1.0
LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class Outbox:
    """The options of an outbox: the file, its limits, and how readings are sent.

    Beyond `max_age` seconds or `max_bytes` of readings the oldest are dropped. A block is sent when `block` readings
    are waiting, or the first has waited for `linger` seconds. `on_sent(stream, answers)` is called with the normalized
    readings, in the sending thread; the answer to a reading that was sent twice may be lost.
    `on_dropped(stream, values, error)` is called for readings dropped because of `max_bytes` or `max_age` (`error` is
    None), or rejected by the service.
    """

    path: Path
    max_age: float = DEFAULT_MAX_AGE
    max_bytes: int = DEFAULT_MAX_BYTES
    block: int = DEFAULT_BLOCK
    linger: float = DEFAULT_LINGER
    on_sent: Callable[[str, list[Normalized]], object] | None = None
    on_dropped: Callable[[str, Any, StreamnormError | None], object] | None = None


class Sender:
    """The sending thread, and its interface for the clients."""

    def __init__(self, outbox: Path | Outbox, transport: Transport) -> None:
        self._outbox = outbox = outbox if isinstance(outbox, Outbox) else Outbox(outbox)
        self._db = OutboxDatabase(outbox.path, outbox.max_bytes)
        self._forked = False
        forks.register(self)
        self._transport = transport
        self._changed = threading.Condition()
        self._stopping = False
        self._flushing = 0
        self._thread = threading.Thread(target=self._work, name="streamnorm outbox", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """The number of readings not sent yet."""
        self._check_process()
        return self._db.waiting()

    def owns(self, stream: str) -> bool:
        """Return whether the outbox numbers a stream's readings."""
        return stream in self._db.streams

    def put(self, stream: str, reading: dict[str, Any]) -> None:
        """Store a reading.

        Raises:
            OutboxUnwritable: the disk is full.
            OutboxCorrupt: the file was damaged.
            OutboxForked: this is a forked child.
            Closed: the outbox was closed.

        """
        self._check_process()
        if self._stopping:
            raise Closed("the outbox is closed")
        now = time.time()
        dropped = self._db.put(stream, reading if "timestamp" in reading else {**reading, "timestamp": now}, now)
        for row in dropped:
            self._drop(row, None)
        with self._changed:
            self._changed.notify_all()

    def flush(self, timeout: float | None, progress: Callable[[int, int], object] | None) -> bool:
        """Send without delay; return whether everything was sent in time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        total = left = self.waiting
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
        try:
            while left and (deadline is None or time.monotonic() < deadline) and self._thread.is_alive():
                with self._changed:
                    self._changed.wait(0.1)
                left, before = self.waiting, left
                if progress is not None and left != before:
                    progress(max(0, total - left), total)
        finally:
            with self._changed:
                self._flushing -= 1
        return not left

    def close(self) -> None:
        """Stop the thread; waiting readings stay in the file."""
        if self._forked:
            return
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def after_fork(self) -> None:
        """Leave the outbox to the parent process."""
        self._forked = True
        self._db.after_fork()

    def _check_process(self) -> None:
        if self._forked:
            raise OutboxForked(
                f"the outbox {self._outbox.path} belongs to the parent process: open another one in the child"
            )

    def _work(self) -> None:
        pause = FIRST_DELAY
        try:
            while not self._stopping:
                self._wait()
                try:
                    while not self._stopping and self._send():
                        pause = FIRST_DELAY
                except StreamnormError as error:
                    log.info("%d readings are waiting: %s", self.waiting, error)
                    with self._changed:
                        self._changed.wait_for(lambda: self._stopping, pause)
                    pause = min(LONGEST_PAUSE, 2 * pause)
                except Exception:  # a full disk, for example: the thread must survive
                    log.exception("the outbox failed to send")
                    time.sleep(1.0)
        finally:
            self._db.close()
            self._transport.close()

    def _wait(self) -> None:
        """Wait until a block can be sent."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self.waiting)
            full = lambda: self._stopping or self._flushing or self.waiting >= self._outbox.block  # noqa: E731
            self._changed.wait_for(full, self._outbox.linger)

    def _send(self) -> int:
        """Send a block of each stream with waiting readings; return the number of readings processed."""
        done = 0
        for row in self._db.drop_older(time.time() - self._outbox.max_age):
            self._drop(row, None)
        rejected: StreamnormError | None = None
        for stream in self._db.waiting_streams():
            if self._stopping:
                break
            try:
                done += self._transport.run(self._block(stream))
            except (Problem, UnexpectedAnswer) as error:
                if isinstance(error, Problem) and error.status in PASSING:
                    raise
                rejected = error  # a key without access to this stream, for example: continue with the others
            with self._changed:
                self._changed.notify_all()
        if rejected is not None and not done:
            raise rejected
        return done

    def _block(self, stream: str) -> Procedure[int]:
        """Send one block."""
        try:
            requests.stream_path(stream)
        except InvalidArgument as error:
            self._db.set_aside(stream, error)
            return 0
        last = (yield from last_seq(requests.info(stream), 0)) or 0
        limit = self._outbox.block
        while True:
            rows = self._db.block(stream, last, limit, time.time())
            if not rows:
                return 0  # none are waiting any more; the rest was already applied, or set aside
            try:
                answers = yield from ask(requests.many([row.reading() for row in rows]), 0)
            except StaleSequence as error:
                self._db.renumber(stream)  # another writer used the numbers meanwhile
                last = error.last_seq
            except (InvalidInput, BodyTooLarge) as error:
                if len(rows) == 1:
                    self._db.forget(rows)
                    self._drop(rows[0], error)
                    return 1
                limit = max(1, len(rows) // 2)
            else:
                self._db.sent(rows, time.time())
                self._answered(stream, answers)
                return len(rows)

    def _answered(self, stream: str, answers: list[Normalized]) -> None:
        if self._outbox.on_sent is not None:
            try:
                self._outbox.on_sent(stream, answers)
            except Exception:
                log.exception("on_sent failed")

    def _drop(self, row: KeptReading, error: StreamnormError | None) -> None:
        log.warning("dropped a reading of %s: %s", row.stream, error or "it is too old, or the outbox is full")
        if self._outbox.on_dropped is not None:
            try:
                self._outbox.on_dropped(row.stream, row.body["values"], error)
            except Exception:
                log.exception("on_dropped failed")
