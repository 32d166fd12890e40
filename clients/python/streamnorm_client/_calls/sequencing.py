"""Sequence numbers, which make retries idempotent.

The handle of a stream numbers its readings, and the service stores the last number it applied. The rules:

1. The first number follows the service's `last_seq`; a stream that does not exist, or was never numbered, starts at 1.
2. A retry has the number of the first attempt. The service replays the first answer.
3. A number is consumed when it is sent, so a reading with unknown outcome leaves at worst a gap, which the service
   reports. After a reading that was certainly not applied (rejected, or never sent) the handle requests `last_seq`.
4. If a first attempt is stale, is answered as a replay, or is rejected as invalid while the service's `last_seq` has
   reached its number (such as a replay with other features), another writer has used the number. The handle renumbers
   after the service's `last_seq` and sends again.
5. If a doubtful reading (an earlier attempt may have arrived) is stale, it was applied if the service's `last_seq` is
   its own number: only its answer is lost, and is recomputed without learning. If `last_seq` is larger, another writer
   uses the stream, and StaleSequence is raised: sending again might apply the reading twice.

A service that lost its last second in a crash restarts with a smaller `last_seq`; the next reading shows a gap.

Two handles on one stream, in two processes or two clients (a client has one handle per stream), are safe as long as
answers arrive: rule 4 renumbers, and every reading is applied once. If an answer gets lost while the other handle
writes, a retry cannot distinguish its own number from the other's: then a reading may be lost, or StaleSequence
is raised; none is applied twice. If several writers must share a stream over an unreliable network, assign the numbers
yourself (`seq=`) from one counter, or send through one process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Callable, Generic, TypeVar, Union

from streamnorm_client._calls.retry import Procedure, ask, deliver
from streamnorm_client._errors import StreamnormError
from streamnorm_client._models import Block, Normalized
from streamnorm_client._problems import InvalidReading, StaleSequence, StreamNotFound

if TYPE_CHECKING:
    from streamnorm_client._calls.call import Call
    from streamnorm_client._models import StreamInfo

AnswerT = TypeVar("AnswerT", bound=Union[Normalized, Block])

MAX_RENUMBERINGS = 16  # each means that another writer was faster; more indicate an error, not a race


class SequenceCounter:
    """The next sequence number of a stream; `next` is None until `last_seq` is known.

    >>> counter = SequenceCounter()
    >>> counter.learn(16)
    17
    >>> counter.take(), counter.take(rows=3), counter.take()
    (17, 18, 21)
    """

    def __init__(self) -> None:
        self.next: int | None = None

    def learn(self, last_seq: int | None) -> int:
        """Continue after the last number that the service applied; return the next one."""
        self.next = (last_seq or 0) + 1
        return self.next

    def forget(self) -> None:
        """Request `last_seq` again before the next reading."""
        self.next = None

    def take(self, rows: int = 1) -> int:
        """Consume the numbers of `rows` rows; return the first.

        Raises:
            StreamnormError: `last_seq` is not known.

        """
        if self.next is None:
            raise StreamnormError("the service's last_seq is not known yet")
        first = self.next
        self.next += rows
        return first


def last_seq(info: Call[StreamInfo], retries: int) -> Procedure[int | None]:
    """Request the stream's last number; None if the stream does not exist."""
    try:
        return (yield from ask(info, retries)).last_seq
    except StreamNotFound:
        return None


@dataclass
class Sending(Generic[AnswerT]):
    """Rows to send: the call that sends them under a first number, and the one that only normalizes them again."""

    rows: int
    numbered: Callable[[int], Call[AnswerT]]
    recompute: Callable[[], Call[AnswerT]]


def send_next(
    sending: Sending[AnswerT], counter: SequenceCounter, info: Call[StreamInfo], retries: int
) -> Procedure[AnswerT]:
    """Send rows under the next numbers; renumber if another writer used them."""
    for _ in range(MAX_RENUMBERINGS):
        if counter.next is None:
            counter.learn((yield from last_seq(info, retries)))
        first = counter.take(sending.rows)
        try:
            answer, doubtful = yield from send_as(first, sending, retries)
        except StreamnormError as error:
            yield from _renumber(error, first, counter, info, retries)
        else:
            if doubtful or not answer.replayed:
                return answer
            counter.forget()
    raise StreamnormError(f"{MAX_RENUMBERINGS} times in a row another writer used the number first")


def _renumber(
    error: StreamnormError, first: int, counter: SequenceCounter, info: Call[StreamInfo], retries: int
) -> Procedure[None]:
    """Renumber if another writer used the number; otherwise raise the error."""
    if isinstance(error, StaleSequence):
        counter.learn(error.last_seq)
    elif not error.maybe_applied:
        counter.forget()
    collided = isinstance(error, StaleSequence) or (
        isinstance(error, InvalidReading) and counter.learn((yield from last_seq(info, retries))) > first
    )
    if error.maybe_applied or not collided:
        raise error


def send_as(first: int, sending: Sending[AnswerT], retries: int) -> Procedure[tuple[AnswerT, bool]]:
    """Send rows under given numbers; also return whether an earlier attempt may have been applied."""
    last = first + sending.rows - 1
    try:
        delivery = yield from deliver(sending.numbered(first), retries)
        answer_lost = isinstance(delivery.result, StaleSequence) and delivery.result.last_seq == last
        if not (delivery.doubtful and answer_lost):
            return delivery.answer(), delivery.doubtful
    except StreamnormError as error:
        error.seq = first
        raise
    return (yield from _answer_again(first, last, sending, retries)), True


def _answer_again(first: int, last: int, sending: Sending[AnswerT], retries: int) -> Procedure[AnswerT]:
    try:
        answer = yield from ask(sending.recompute(), retries)
    except StreamnormError as error:
        error.seq, error.maybe_applied = first, True
        raise
    again = replace(answer, replayed=True, recomputed=True)
    return replace(again, last_seq=last) if isinstance(again, Block) else replace(again, seq=first)
