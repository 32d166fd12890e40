"""The operations of a stream as procedures without I/O, which both clients run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from streamnorm_client._blocks.npy import ArrayBlock, array_call, packed
from streamnorm_client._blocks.tables import Table, cut, table_of
from streamnorm_client._calls import requests
from streamnorm_client._calls.retry import Procedure, ask, deliver
from streamnorm_client._calls.sequencing import AnswerT, Sending, SequenceCounter, send_as, send_next
from streamnorm_client._errors import InvalidArgument, NotSupported, StreamInUse, StreamnormError
from streamnorm_client._problems import StreamNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from streamnorm_client._calls.call import Call
    from streamnorm_client._models import Block, Normalized
    from streamnorm_client._outbox.sender import Sender

T = TypeVar("T")


class Window(Protocol):
    """The in-flight window of a live connection, as a stream sees it."""

    @property
    def unanswered(self) -> int:
        """The number of unanswered readings."""


class StreamProcedures:
    """The procedures of one stream, and its sequence counter; those that change the counter must run one at a time."""

    def __init__(self, stream: str, retries: int, sender: Sender | None = None) -> None:
        self.path = requests.stream_path(stream)
        self.stream = stream
        self.retries = retries
        self.sender = sender
        self.counter = SequenceCounter()
        self._info = requests.info(stream)
        #: the last window that sent readings over a live connection
        self.window: Window | None = None

    def after_fork(self) -> None:
        """Reset the sequence counter: the parent process continues with its own."""
        self.counter.forget()
        self.window = None

    def observe(
        self, values: Any, timestamp: Any, *, stats: bool, seq: int | None, numbered: bool
    ) -> Procedure[Normalized]:
        """Send one reading."""
        reading = requests.reading(values, timestamp)
        if not numbered:
            return (yield from ask(requests.observe(self.stream, reading, stats=stats), self.retries))
        sending = Sending(
            1,
            lambda first: requests.observe(self.stream, reading, stats=stats, seq=first),
            lambda: requests.normalize(self.stream, reading, stats=stats),
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
    ) -> Procedure[Block]:
        """Send rows in blocks, sequentially, and join their answers."""
        table = packed(rows, features, timestamps) or table_of(rows, features)
        if not table.length:
            raise InvalidArgument("there are no rows to send")
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
        return joined(answers, table.joined([answer.values for answer in answers], answers[0].features))

    def _send_block(
        self, block: requests.EncodedBlock | ArrayBlock, seq: int | None, *, numbered: bool, learn: bool
    ) -> Procedure[Block]:
        def call(*, learn: bool, first_seq: int | None = None) -> Call[Block]:
            if isinstance(block, ArrayBlock):
                return array_call(self.stream, block, learn=learn, first_seq=first_seq)
            return requests.block_call(self.stream, block, learn=learn, first_seq=first_seq)

        if not numbered:
            return (yield from ask(call(learn=learn), self.retries))
        sending = Sending(len(block.rows), lambda first: call(learn=True, first_seq=first), lambda: call(learn=False))
        return (yield from self._send(sending, seq))

    def put(self, values: Any, timestamp: Any) -> None:
        """Put a reading into the outbox."""
        if self.sender is None:
            raise NotSupported("the client has no outbox: Client(outbox='readings.db')")
        self.sender.put(self.stream, requests.reading(values, timestamp))

    def _send(self, sending: Sending[AnswerT], seq: int | None) -> Procedure[AnswerT]:
        """Send with the caller's sequence number, or the next one."""
        if self.sender is not None and self.sender.owns(self.stream):
            raise StreamInUse(
                f"the outbox numbers the readings of {self.stream!r}: put them, or send them numbered=False"
            )
        if self.window is not None and self.window.unanswered:
            raise StreamInUse(
                f"readings of {self.stream!r} are in flight over a live connection: "
                "read observe_many to its end, or close the connection"
            )
        if seq is None:
            return (yield from send_next(sending, self.counter, self._info, self.retries))
        self.counter.forget()
        return (yield from send_as(seq, sending, self.retries))[0]

    def mutating(self, call: Call[T]) -> Procedure[T]:
        """Send a call that may change the stream's last number."""
        self.counter.forget()
        return (yield from ask(call, self.retries))

    def read_only(self, call: Call[T]) -> Procedure[T]:
        """Send a call that does not change the stream's last number."""
        return ask(call, self.retries)

    def delete(self) -> Procedure[None]:
        """Delete the stream; if it is not found after an unanswered attempt, that attempt deleted it."""
        self.counter.forget()
        delivery = yield from deliver(requests.delete(self.stream), self.retries)
        if not (delivery.doubtful and isinstance(delivery.result, StreamNotFound)):
            delivery.answer()


def joined(answers: Sequence[Block], values: Any) -> Block:
    """Join the answers of blocks: the state of the last one, the rows of all."""
    return replace(
        answers[-1],
        values=values,
        gap=sum(answer.gap for answer in answers),
        replayed=any(answer.replayed for answer in answers),
        recomputed=any(answer.recomputed for answer in answers),
        clock_ahead=max(answer.clock_ahead for answer in answers),
        clock_set_back=max(answer.clock_set_back for answer in answers),
    )
