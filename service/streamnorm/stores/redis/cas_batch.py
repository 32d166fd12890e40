"""What waits for one node, brought there in rounds: read what is not known, compute, compare and set.

Rules:

1. A round takes all that waits for a stream, in the order it came; it is written once, and no result is told before.
2. What is remembered of a stream is only a guess, made good by the store's comparison. So a change that was refused, or
   changed nothing, is told only when the stream was read in the same round.
3. Where the comparison fails, another was quicker: the work is done anew on what is there now.
4. Streams are never changed in place: an edit gives a new one.
5. Where the node is silent, all that waits for it is told so: the next round would only wait as long.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from redis.exceptions import ResponseError

from streamnorm.engine.stream import Stream
from streamnorm.errors import StoreUnavailable, StreamnormError
from streamnorm.stores.codec import decode, encode
from streamnorm.stores.redis.connection import NotSent, Silent
from streamnorm.stores.redis.keyspace import partition
from streamnorm.stores.redis.topology import is_redirect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamnorm.stores.redis.connection import Command, NodeConnection, Reply
    from streamnorm.stores.redis.keyspace import Keyspace
    from streamnorm.stores.redis.topology import Topology

log = logging.getLogger(__name__)

#: More in one round would make the first wait for the last; at 64 in flight no round comes near.
MAX_BATCH = 512
#: Bytes of a blob's version, which come before what the codec makes: random, so that none comes twice.
VERSION_SIZE = 8
#: Every round somebody wins, so only a stream that very many replicas fight for gets here.
MAX_ATTEMPTS = 200


class Entry(NamedTuple):
    """A stream as it was under a version; none, under an empty version, where there is none."""

    version: bytes
    stream: Stream | None


#: Works on a stream as it is and gives what it shall be (the same: nothing changes; None: it goes), and a result.
Edit = Callable[[Entry], tuple[Stream | None, Any]]


@dataclass(slots=True, eq=False)
class PendingEdit:
    """An edit of a stream that waits for its turn; `fresh` means that no guess will do."""

    stream_id: str
    edit: Edit
    done: asyncio.Future[Any]
    must_read: bool = False
    #: when to give up trying again
    deadline: float = 0.0
    tries: int = 0

    def settle(self, outcome: object) -> None:
        """Tell the outcome: a result, or an error to be raised; who waited may have gone away."""
        if self.done.done():
            return
        if isinstance(outcome, Exception):
            self.done.set_exception(outcome)
        else:
            self.done.set_result(outcome)


class CasContext(Protocol):
    """What the batchers of all nodes have in common."""

    nodes: Topology
    keys: Keyspace
    #: milliseconds that a stream is kept after its last change; 0: for good
    keep: int
    #: replicas that must have a change before it is answered
    replicas: int
    #: rounds that wrote, and the seconds they took
    commits: int
    commit_seconds: float

    def cached(self, stream_id: str) -> Entry | None:
        """Return what is remembered of a stream."""

    def cache(self, stream_id: str, entry: Entry | None) -> None:
        """Remember a stream, or forget it."""

    def requeue(self, tasks: Iterable[PendingEdit], error: StoreUnavailable) -> None:
        """Try tasks again that have not happened, as long as there is patience; then tell the error."""


class StreamBatch:
    """The tasks of one stream in a round."""

    __slots__ = ("entry", "outcomes", "put", "read", "stream_id", "tasks")

    def __init__(self, stream_id: str) -> None:
        self.stream_id = stream_id
        self.tasks: list[PendingEdit] = []
        self.entry: Entry | None = None
        self.read = False
        self.outcomes: list[Any] = []
        self.put = b""

    def work(self) -> Entry:
        """Do the edits, one after the other; returns the stream that comes of it."""
        assert self.entry is not None  # noqa: S101 - read or known by now
        entry, version = self.entry, os.urandom(VERSION_SIZE)
        self.outcomes = []
        for task in self.tasks:
            try:
                stream, outcome = task.edit(entry)
            except StreamnormError as error:
                outcome = error
            except Exception as error:  # a defect of ours must not stop the others
                log.exception("an edit of stream %r failed", self.stream_id)
                outcome = error
            else:
                if stream is not entry.stream:
                    entry = Entry(version, stream)
            self.outcomes.append(outcome)
        return entry

    def settle(self, failure: StoreUnavailable | None = None) -> None:
        """Tell every task its outcome; with a failure, those that succeeded are told that instead."""
        for task, outcome in zip(self.tasks, self.outcomes, strict=True):
            task.settle(outcome if failure is None or isinstance(outcome, Exception) else failure)

    def fail(self, error: Exception) -> None:
        """Tell every task the same error."""
        for task in self.tasks:
            task.settle(error)


class CasBatcher:
    """All that waits for one node."""

    def __init__(self, link: NodeConnection, shared: CasContext) -> None:
        self._link = link
        self._shared = shared
        self._waiting: deque[PendingEdit] = deque()
        self._worker: asyncio.Task[None] | None = None

    def add(self, task: PendingEdit) -> None:
        """Let a task wait for the next round."""
        self._waiting.append(task)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name=f"streamnorm rounds to {self._link.place}")

    async def drained(self) -> None:
        """Wait until nothing waits any more."""
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        while self._waiting:
            groups = self._take()
            try:
                await self._round(groups)
            except Exception as error:  # a defect of ours must not stop the rounds
                log.exception("a round to %s failed", self._link.place)
                for group in groups:
                    group.fail(error)

    def _take(self) -> list[StreamBatch]:
        groups: dict[str, StreamBatch] = {}
        for _ in range(min(len(self._waiting), MAX_BATCH)):
            task = self._waiting.popleft()
            if not task.done.done():
                groups.setdefault(task.stream_id, StreamBatch(task.stream_id)).tasks.append(task)
        return list(groups.values())

    async def _round(self, groups: list[StreamBatch]) -> None:
        changed: list[tuple[StreamBatch, Entry]] = []
        for group in await self._read(groups):
            entry = group.work()
            if entry is not group.entry:
                changed.append((group, entry))
            elif group.read:
                group.settle()
            else:  # rule 2
                self._shared.cache(group.stream_id, None)
                self._waiting.extendleft(reversed(group.tasks))
        if changed:
            await self._write(changed)

    async def _read(self, groups: list[StreamBatch]) -> list[StreamBatch]:
        """Find the groups' streams, in memory or in the store; returns the groups whose streams were found."""
        unknown = []
        for group in groups:
            group.entry = None if any(task.must_read for task in group.tasks) else self._shared.cached(group.stream_id)
            if group.entry is None:
                unknown.append(group)
        if not unknown:
            return groups
        blobs = [("GET", self._shared.keys.blob(group.stream_id)) for group in unknown]
        try:
            replies = await self._shared.nodes.run(self._link, blobs)
        except StoreUnavailable as error:  # nothing has happened
            replies = self._failed(error, len(blobs))
        for group, reply in zip(unknown, replies, strict=True):
            if isinstance(reply, Exception):
                self._on_refused(group, reply)
            else:
                self._on_read(group, reply or b"")
        return [group for group in groups if group.entry is not None]

    async def _write(self, changed: list[tuple[StreamBatch, Entry]]) -> None:
        shared = self._shared
        puts = [self._on_written(group, entry) for group, entry in changed]
        began = perf_counter()
        try:
            replies = await shared.nodes.run(self._link, puts, shared.replicas)
        except StoreUnavailable as error:
            replies = self._failed(error, len(puts))
        shared.commits += 1
        shared.commit_seconds += perf_counter() - began
        for (group, entry), reply in zip(changed, replies, strict=True):
            if reply == 1:
                shared.cache(group.stream_id, None if entry.stream is None else entry)
                group.settle()
            elif isinstance(reply, (NotSent, ResponseError)):
                self._on_refused(group, reply)
            elif isinstance(reply, StoreUnavailable):  # it may have happened, but not safely enough
                shared.cache(group.stream_id, None)
                group.settle(reply)
            else:
                self._on_conflict(group, reply)

    def _failed(self, error: StoreUnavailable, commands: int) -> list[Reply]:
        """Return the replies to commands that have none."""
        if isinstance(error, Silent):
            for task in self._waiting:
                task.settle(error)
            self._waiting.clear()
        return [error] * commands

    def _on_written(self, group: StreamBatch, entry: Entry) -> Command:
        assert group.entry is not None  # noqa: S101 - what the work was done on
        shared, stream_id, before = self._shared, group.stream_id, group.entry
        keys = [shared.keys.blob(stream_id)]
        if before.stream is None or entry.stream is None:
            keys.append(shared.keys.index(partition(stream_id)))
        new = b"" if entry.stream is None else entry.version + encode(entry.stream)
        return ("FCALL", "streamnorm_put_1", len(keys), *keys, before.version, new, shared.keep, stream_id)

    def _on_read(self, group: StreamBatch, blob: bytes) -> None:
        """Update with what the store has of a stream."""
        try:
            stream = decode(group.stream_id, blob[VERSION_SIZE:]) if blob else None
        except StreamnormError as error:
            group.fail(error)
            return
        group.entry = Entry(blob[:VERSION_SIZE], stream)
        group.read = True
        self._shared.cache(group.stream_id, group.entry)

    def _on_conflict(self, group: StreamBatch, blob: bytes) -> None:
        """Do a group again, before all that waits, on what another has put there."""
        group.entry = None
        self._on_read(group, blob)
        if group.entry is None:
            return
        again = []
        for task in group.tasks:
            task.tries += 1
            task.must_read = False  # this is as fresh as it gets
            if task.tries < MAX_ATTEMPTS:
                again.append(task)
            else:
                task.settle(StoreUnavailable(f"stream {group.stream_id!r} is being changed by too many at once"))
        self._waiting.extendleft(reversed(again))

    def _on_refused(self, group: StreamBatch, reply: Reply) -> None:
        """Try again what another node, or a later moment, may take; else tell."""
        if isinstance(reply, Silent):
            group.fail(reply)
            return
        if isinstance(reply, StoreUnavailable):
            self._shared.requeue(group.tasks, reply)
            return
        error = StoreUnavailable(f"the store at {self._link.place} refuses stream {group.stream_id!r}: {reply}")
        if is_redirect(reply):
            self._shared.requeue(group.tasks, error)
        else:
            group.fail(error)
