"""The outbox: readings that are kept on disk until the service has them.

The rules, by which no reading is lost and none is applied twice, whoever is killed:

1. `put` returns when the reading is in the file. A thread sends what is there, in order, in blocks.
2. The outbox numbers a stream's readings after the service's `last_seq`, and writes the numbers down before they are
   sent; nobody else may number that stream.
3. Before every block the service is asked for `last_seq`: what has a number up to it was applied, whatever became of
   the answer; what has a number beyond it was not, or was forgotten by a service that was killed, and is sent again.
4. What was sent stays in the file for a while, longer than a killed service can forget.
5. A reading that cannot be sent (the file was tampered with) is set aside in a table of its own, and one that the
   service refuses is dropped: neither holds up the others. Nor does one stream hold up another.
6. The file belongs to the process that opened it; in a forked child the outbox is refused.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Union

from streamnorm_client import _forks, _requests
from streamnorm_client._errors import (
    BodyTooLarge,
    Closed,
    InvalidArgument,
    InvalidInput,
    OutboxForked,
    Problem,
    StaleSequence,
    StreamnormError,
    UnexpectedAnswer,
)
from streamnorm_client._outbox_db import KeptReading, OutboxDatabase
from streamnorm_client._retry import FIRST_DELAY, PASSING, Procedure, ask
from streamnorm_client._sequencing import last_seq

if TYPE_CHECKING:
    import os
    from typing import Any

    from streamnorm_client._models import Normalized
    from streamnorm_client._sync_driver import Transport

    Path = Union[str, os.PathLike[str]]

log = logging.getLogger(__name__)

DEFAULT_MAX_AGE = 7 * 86_400.0  # a device on its own for longer has another problem, and "normal" has moved on
DEFAULT_MAX_BYTES = 64 * 1024 * 1024  # half a million readings of a few features; small beside any SD card
DEFAULT_BLOCK = 1_000  # some 100 kB a request
DEFAULT_LINGER = 1.0
LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class Outbox:
    """Where readings are kept, and how long and how they are sent.

    Beyond `max_age` seconds or `max_bytes` of readings the oldest go. A block is sent when `block` readings wait, or
    the first has waited `linger` seconds. `on_sent(stream, answers)` gets the normalized readings, in the sending
    thread; the answer to a reading that had to be sent twice may be lost. `on_dropped(stream, values, error)` hears of
    readings that went for want of room or because of their age (`error` is None), or that the service refused.
    """

    path: Path
    max_age: float = DEFAULT_MAX_AGE
    max_bytes: int = DEFAULT_MAX_BYTES
    block: int = DEFAULT_BLOCK
    linger: float = DEFAULT_LINGER
    on_sent: Callable[[str, list[Normalized]], object] | None = None
    on_dropped: Callable[[str, Any, StreamnormError | None], object] | None = None


class Sender:
    """The thread that sends, and what the clients ask of it."""

    def __init__(self, outbox: Path | Outbox, transport: Transport) -> None:
        self._outbox = outbox = outbox if isinstance(outbox, Outbox) else Outbox(outbox)
        self._db = OutboxDatabase(outbox.path, outbox.max_bytes)
        self._forked = False
        _forks.register(self)
        self._transport = transport
        self._news = threading.Condition()
        self._stopping = False
        self._flushing = 0
        self._thread = threading.Thread(target=self._work, name="streamnorm outbox", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many readings are not sent yet."""
        self._check_process()
        return self._db.waiting()

    def owns(self, stream: str) -> bool:
        """Return whether the outbox numbers a stream."""
        return stream in self._db.streams

    def put(self, stream: str, reading: dict[str, Any]) -> None:
        """Keep a reading.

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
        for each in dropped:
            self._drop(each, None)
        with self._news:
            self._news.notify_all()

    def flush(self, timeout: float | None, progress: Callable[[int, int], object] | None) -> bool:
        """Send at once; returns whether everything was sent in time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        total = left = self.waiting
        with self._news:
            self._flushing += 1
            self._news.notify_all()
        try:
            while left and (deadline is None or time.monotonic() < deadline) and self._thread.is_alive():
                with self._news:
                    self._news.wait(0.1)
                left, before = self.waiting, left
                if progress is not None and left != before:
                    progress(max(0, total - left), total)
        finally:
            with self._news:
                self._flushing -= 1
        return not left

    def close(self) -> None:
        """End the thread; what waits stays in the file."""
        if self._forked:
            return
        with self._news:
            self._stopping = True
            self._news.notify_all()
        self._thread.join()

    def after_fork(self) -> None:
        """Leave the outbox to the parent process."""
        self._forked = True
        self._db.after_fork()

    def _check_process(self) -> None:
        if self._forked:
            raise OutboxForked(
                f"the outbox {self._outbox.path} belongs to the parent process: the child needs one of its own"
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
                    log.info("%d readings wait: %s", self.waiting, error)
                    with self._news:
                        self._news.wait_for(lambda: self._stopping, pause)
                    pause = min(LONGEST_PAUSE, 2 * pause)
                except Exception:  # a full disk, for one: the thread outlives it
                    log.exception("the outbox cannot send")
                    time.sleep(1.0)
        finally:
            self._db.close()
            self._transport.close()

    def _wait(self) -> None:
        """Wait until there is a block to send."""
        with self._news:
            self._news.wait_for(lambda: self._stopping or self.waiting)
            full = lambda: self._stopping or self._flushing or self.waiting >= self._outbox.block  # noqa: E731
            self._news.wait_for(full, self._outbox.linger)

    def _send(self) -> int:
        """Send a block of each stream that has something to send; returns how many readings are dealt with."""
        done = 0
        for each in self._db.drop_older(time.time() - self._outbox.max_age):
            self._drop(each, None)
        refused: StreamnormError | None = None
        for stream in self._db.waiting_streams():
            if self._stopping:
                break
            try:
                done += self._transport.run(self._block(stream))
            except (Problem, UnexpectedAnswer) as error:
                if isinstance(error, Problem) and error.status in PASSING:
                    raise
                refused = error  # the key is not for this stream, for one: others go on
            with self._news:
                self._news.notify_all()
        if refused is not None and not done:
            raise refused
        return done

    def _block(self, stream: str) -> Procedure[int]:
        """Send one block."""
        try:
            _requests.stream_path(stream)
        except InvalidArgument as error:
            self._db.set_aside(stream, error)
            return 0
        last = (yield from last_seq(_requests.info(stream), 0)) or 0
        most = self._outbox.block
        while True:
            rows = self._db.block(stream, last, most, time.time())
            if not rows:
                return 0  # none waits any more; the rest was applied already, or set aside
            try:
                answers = yield from ask(_requests.many([row.reading() for row in rows]), 0)
            except StaleSequence as error:
                self._db.renumber(stream)  # somebody else numbered it meanwhile
                last = error.last_seq
            except (InvalidInput, BodyTooLarge) as error:
                if len(rows) == 1:
                    self._db.forget(rows)
                    self._drop(rows[0], error)
                    return 1
                most = max(1, len(rows) // 2)
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
        log.warning("a reading of %s is dropped: %s", row.stream, error or "the outbox is full or it is too old")
        if self._outbox.on_dropped is not None:
            try:
                self._outbox.on_dropped(row.stream, row.body["values"], error)
            except Exception:
                log.exception("on_dropped failed")
