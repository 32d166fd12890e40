"""What the ways in ask of the streams, wherever those live: in this process, or in a cluster's store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from typing import Literal, NamedTuple, Protocol, TypeVar

from streamnorm.engine.streams.rulebook import Rulebook
from streamnorm.engine.streams.stream import Stream

T = TypeVar("T")

#: When a change counts as kept: before its answer, about a second later, or when the service stops.
Durability = Literal["always", "everysec", "no"]

#: Works on a stream and gives what is to be answered; where it raises, nothing has happened.
Change = Callable[[Stream], T]


class Execution(Enum):
    """How a change is worked on."""

    #: at once, on the stream itself: it succeeds, or changes nothing
    IN_PLACE = auto()
    #: at once, on a copy that replaces the stream: it may fail half-way
    ON_COPY = auto()
    #: in another thread, on a copy: it takes long, too
    IN_THREAD = auto()


#: The same: on the hot path, since Python 3.11 takes as long to find a member as a tenth of a reading.
IN_PLACE, ON_COPY, IN_THREAD = Execution


class RepositoryStats(NamedTuple):
    """Figures of how streams are kept, for those who watch."""

    #: streams in memory
    resident: int
    #: streams in the store only
    evicted: int
    #: seconds since the last commit, where there is something to save
    lag: float
    #: commits made, and the seconds they took
    commits: int
    commit_seconds: float


class StreamRepository(Protocol):
    """All streams of a service by their ids; every change is atomic and in order within a stream."""

    #: which plans streams have
    rulebook: Rulebook
    #: whether a change may be worked on again, when somebody else has changed the stream meanwhile
    retries: bool

    async def start(self) -> None:
        """Begin to work; called once, in the running event loop."""

    async def stop(self) -> None:
        """Keep every change, and close what is open.

        Raises:
            StoreError: changes could not be kept, and are lost.

        """

    async def flush(self) -> None:
        """Keep every change made so far.

        Raises:
            StoreError: changes could not be kept; a later flush tries again.

        """

    def get_for_inline_update(self, stream_id: str) -> Stream | None:
        """Return a stream, or a new one, that may be changed before anything else is awaited; None where it may not.

        This changes nothing; a caller that changes the stream calls `commit_inline` then, before it awaits anything or
        gets another one that is not in memory.
        """

    def commit_inline(self, stream_id: str, stream: Stream) -> None:
        """Put in place what became of a stream got for an inline update; it is as safe as configured when this returns.

        Raises:
            StoreError: it could not be kept; the stream is as it was before.

        """

    async def update(self, stream_id: str, change: Change[T], *, create: bool = True, how: Execution = IN_PLACE) -> T:
        """Change the stream `stream_id`, made where there is none; answer when the change is as safe as configured.

        `how` is what the change needs at least; a repository may do more.

        Raises:
            StreamNotFound: there is none of this id, and `create` is false.

        """

    async def update_many(self, changes: Mapping[str, Change[T]]) -> dict[str, T]:
        """Change several streams, as a whole or not at all."""

    async def update_together(
        self,
        stream_ids: Iterable[str],
        change: Callable[[Mapping[str, Stream]], T],
        *,
        how: Execution = ON_COPY,
    ) -> T:
        """Change the streams `stream_ids`, as a whole or not at all, by one `change`, which is given a copy of each.

        `how` is ON_COPY or IN_THREAD.
        """

    async def read(self, stream_id: str, view: Callable[[Stream], T]) -> T:
        """Inspect a stream.

        Raises:
            StreamNotFound: there is none of this id.

        """

    async def replace(self, stream_id: str, stream: Stream) -> bool:
        """Put a whole stream in place; returns whether there was none before."""

    async def delete(self, stream_id: str) -> None:
        """Discard a stream.

        Raises:
            StreamNotFound: there is none of this id.

        """

    async def apply_rules(self, rulebook: Rulebook) -> int:
        """Replace the rulebook, and configure streams anew where it says something else, now or with their next use.

        Returns how many streams were configured anew now.
        """

    def peek(self, stream_id: str) -> Stream | None:
        """Inspect a stream where it is in this process's memory, without waiting for a store."""

    async def page(self, prefix: str, after: str, limit: int) -> list[tuple[str, Stream]]:
        """List at most `limit` streams whose ids start with `prefix`, in byte order, beyond the id `after`."""

    def check(self) -> None:
        """Raise the StoreError that keeps changes from being kept, if there is one."""

    def stats(self) -> RepositoryStats:
        """Return figures of how the streams are kept."""
