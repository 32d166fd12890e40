"""What the handle of a stream does, as procedures that send nothing themselves: both clients run these."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from streamnorm_client import _calls
from streamnorm_client._arrays import ArrayBlock, array_call, packed
from streamnorm_client._errors import StreamnormError, StreamNotFound
from streamnorm_client._numbering import AnswerT, Numbering, Sending, send_as, send_next
from streamnorm_client._retry import Steps, ask, deliver
from streamnorm_client._tabular import Table, cut, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from streamnorm_client._answers import Block, Normalized
    from streamnorm_client._calls import Call
    from streamnorm_client._outbox import Sender

T = TypeVar("T")


class OnTheirWay(Protocol):
    """Readings that were sent over a live connection, all that a stream has to know of a flight."""

    @property
    def unanswered(self) -> int:
        """How many have no answer yet."""


class StreamSteps:
    """The procedures of one stream, and its numbering, which those that are run one at a time may change."""

    def __init__(self, stream: str, retries: int, sender: Sender | None = None) -> None:
        self.path = _calls.stream_path(stream)
        self.stream = stream
        self.retries = retries
        self.sender = sender
        self.numbering = Numbering()
        #: the last one that sent readings over a live connection
        self.flight: OnTheirWay | None = None

    def observe(
        self, values: Any, timestamp: Any, *, stats: bool, seq: int | None, numbered: bool
    ) -> Steps[Normalized]:
        """Send one reading."""
        reading = _calls.reading(values, timestamp)
        if not numbered:
            return (yield from ask(_calls.observe(self.stream, reading, stats=stats), self.retries))
        sending = Sending(
            1,
            lambda first: _calls.observe(self.stream, reading, stats=stats, seq=first),
            lambda: _calls.normalize(self.stream, reading, stats=stats),
        )
        return (yield from self._send(sending, seq))

    def bulk(
        self,
        rows: Any,
        features: Sequence[str] | None,
        timestamps: Iterable[Any] | None,
        *,
        seq: int | None,
        numbered: bool,
        learn: bool,
        progress: Callable[[int, int], object] | None,
    ) -> Steps[Block]:
        """Send rows in blocks, one after the other, and put their answers together."""
        prepared = packed(rows, features) if timestamps is None else None
        table = prepared or table_of(rows, features)
        if not table.length:
            raise ValueError("there are no rows to send")
        answers: list[Block] = []
        done = 0
        for block in cut(table, timestamps) if isinstance(table, Table) else table.blocks():
            first = None if seq is None else seq + done
            try:
                answers.append((yield from self._send_block(block, first, numbered=numbered and learn, learn=learn)))
            except StreamnormError as error:
                error.rows_done = done
                raise
            done += len(block.rows)
            if progress is not None:
                progress(done, table.length)
        return joined(answers, table.joined([answer.values for answer in answers]))

    def _send_block(
        self, block: _calls.EncodedBlock | ArrayBlock, seq: int | None, *, numbered: bool, learn: bool
    ) -> Steps[Block]:
        def call(*, learn: bool, first_seq: int | None = None) -> Call[Block]:
            if isinstance(block, ArrayBlock):
                return array_call(self.stream, block, learn=learn, first_seq=first_seq)
            return _calls.block_call(self.stream, block, learn=learn, first_seq=first_seq)

        if not numbered:
            return (yield from ask(call(learn=learn), self.retries))
        sending = Sending(len(block.rows), lambda first: call(learn=True, first_seq=first), lambda: call(learn=False))
        return (yield from self._send(sending, seq))

    def put(self, values: Any, timestamp: Any) -> None:
        """Keep a reading in the outbox."""
        if self.sender is None:
            raise ValueError("the client has no outbox: Client(outbox='readings.db')")
        self.sender.put(self.stream, _calls.reading(values, timestamp))

    def _send(self, sending: Sending[AnswerT], seq: int | None) -> Steps[AnswerT]:
        """Send under the caller's number, or under the next one."""
        if self.sender is not None and self.sender.owns(self.stream):
            raise ValueError(
                f"the outbox numbers the readings of {self.stream!r}: put them, or send them numbered=False"
            )
        if self.flight is not None and self.flight.unanswered:
            raise RuntimeError(
                f"readings of {self.stream!r} are on their way over a live connection: "
                "read observe_many to its end, or close the connection"
            )
        if seq is None:
            return (yield from send_next(sending, self.numbering, _calls.info(self.stream), self.retries))
        self.numbering.forget()
        return (yield from send_as(seq, sending, self.retries))[0]

    def changing(self, call: Call[T]) -> Steps[T]:
        """Send a call that may change the stream's last number."""
        self.numbering.forget()
        return (yield from ask(call, self.retries))

    def asking(self, call: Call[T]) -> Steps[T]:
        """Send a call that leaves the stream's numbers alone."""
        return ask(call, self.retries)

    def delete(self) -> Steps[None]:
        """Delete the stream; one that is gone after a doubtful attempt was deleted by it."""
        self.numbering.forget()
        delivery = yield from deliver(_calls.delete(self.stream), self.retries)
        if not (delivery.doubtful and isinstance(delivery.result, StreamNotFound)):
            delivery.answer()


def joined(answers: Sequence[Block], values: Any) -> Block:
    """Build one answer of the blocks': the last one's state, everybody's rows."""
    return replace(
        answers[-1],
        values=values,
        gap=sum(answer.gap for answer in answers),
        replayed=any(answer.replayed for answer in answers),
        recomputed=any(answer.recomputed for answer in answers),
    )
