"""The in-flight window of one stream over a live connection, as procedures without I/O.

The rules, in addition to those of `sequencing`:

1. Answers arrive in the order of the readings. At most a window of readings is unanswered; when it is full, the client
   waits for an answer before it sends more.
2. The first reading is sent alone, under the rules of `sequencing`, which determine the stream's last number. So is
   the next one whenever the sequence counter was reset.
3. After a lost connection, unanswered readings are sent again, in order, under their own numbers. The service replays
   the answer of the last one that it had applied; earlier ones are stale, their answers are lost, and are recomputed
   without learning.
4. A rejected reading ends the window. Later readings that were already sent are observed nevertheless, and their
   answers are discarded.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, Union

from streamnorm_client._calls import requests
from streamnorm_client._calls.call import Call, Response, problem_of
from streamnorm_client._calls.retry import Outcome, Pause, Step, ask, delay_before_retry, log_retry
from streamnorm_client._errors import StreamnormError, TransportError, UnexpectedAnswer
from streamnorm_client._models import Normalized
from streamnorm_client._problems import StaleSequence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from streamnorm_client._procedures import StreamProcedures

T = TypeVar("T")

WINDOW = 64  # 3 000 readings per second at a round-trip time of 20 ms


class SendReading(NamedTuple):
    """A step that sends a reading; its outcome is None, or the failure."""

    call: Call[Normalized]


class ReceiveAnswer(NamedTuple):
    """A step that receives the next answer; without `wait`, None if there is none."""

    wait: bool


LiveProcedure = Generator[Union[Step, SendReading, ReceiveAnswer], Outcome, T]


class InTurn(Protocol):
    """Runs procedures that change a stream's numbering one at a time, performing their steps with `perform`."""

    def __call__(self, procedure: LiveProcedure[T], perform: Callable[[Any], Outcome]) -> T:
        """Run a procedure to its end and return its result."""


class AsyncInTurn(Protocol):
    """Like `InTurn`, for asyncio."""

    async def __call__(self, procedure: LiveProcedure[T], perform: Callable[[Any], Awaitable[Outcome]]) -> T:
        """Run a procedure to its end and return its result."""


@dataclass
class Sent:
    """A reading in flight, and how many times it may have arrived."""

    seq: int
    reading: Mapping[str, Any]
    call: Call[Normalized]
    times: int = 0


class InFlightWindow:
    """Readings that were sent and not answered yet, the answers that nobody took yet, and what ended it."""

    def __init__(self, procedures: StreamProcedures) -> None:
        self._procedures = procedures
        self._unanswered: deque[Sent] = deque()
        self._answers: list[Normalized] = []
        self._error: StreamnormError | None = None
        self._last = 0
        self._attempt = 0

    @property
    def unanswered(self) -> int:
        """The number of readings in flight."""
        return len(self._unanswered)

    @property
    def over(self) -> bool:
        """Whether nothing more will come: no answer, and no error."""
        return not (self._unanswered or self._answers or self._error)

    def observe(self, values: Any, timestamp: Any, window: int) -> LiveProcedure[list[Normalized]]:
        """Send a reading; returns the answers that came meanwhile, having waited where `window` were unanswered."""
        if self._error is None:
            if self._procedures.window is self and self._procedures.counter.next is not None:
                yield from self._send(requests.reading(values, timestamp))
            else:
                yield from self.drain()
                alone = self._procedures.observe(values, timestamp, stats=False, seq=None, numbered=True)
                self._answers.append((yield from alone))
                self._procedures.window = self
        return (yield from self.answers(window))

    def answers(self, window: int = 1) -> LiveProcedure[list[Normalized]]:
        """Return the available answers; wait for one if `window` readings are unanswered.

        Raises:
            StreamnormError: a reading was rejected, or retries were exhausted; its `seq` is the reading's.

        """
        while self._unanswered and (yield from self._receive(wait=len(self._unanswered) >= window)):
            pass
        answers, self._answers = self._answers, []
        if self._error is not None and not answers:
            error, self._error = self._error, None
            raise error
        return answers

    def drain(self) -> LiveProcedure[None]:
        """Wait for all unanswered readings, and keep the answers for the caller."""
        while self._unanswered:
            yield from self._receive(wait=True)

    def after_drain(self, procedure: LiveProcedure[T]) -> LiveProcedure[T]:
        """Drain the window, then run another procedure."""
        yield from self.drain()
        return (yield from procedure)

    def abort(self) -> None:
        """Discard the readings in flight."""
        if self._unanswered:
            self._unanswered.clear()
            self._procedures.counter.forget()

    def _send(self, reading: Mapping[str, Any]) -> LiveProcedure[None]:
        procedures = self._procedures
        self._last = procedures.counter.take()
        call = requests.observe(procedures.stream, reading, stats=False, seq=self._last)
        sent = Sent(self._last, reading, call)
        self._unanswered.append(sent)
        error = yield from self._send_reading(sent)
        if error is not None:
            yield from self._send_again(error)

    def _send_reading(self, sent: Sent) -> LiveProcedure[StreamnormError | None]:
        outcome = yield SendReading(sent.call)
        if outcome is None or (isinstance(outcome, TransportError) and outcome.maybe_applied):
            sent.times += 1
        return problem_of(outcome) if isinstance(outcome, Response) else outcome

    def _send_again(self, error: StreamnormError | None) -> LiveProcedure[None]:
        """Resend all unanswered readings over a new connection, until that succeeds or retries are exhausted."""
        while error is not None:
            self._attempt += 1
            luck = random.random()  # noqa: S311 - spreads load, guards nothing
            delay = delay_before_retry(self._attempt, self._procedures.retries, error, repeatable=True, luck=luck)
            if delay is None:
                error.maybe_applied = any(sent.times for sent in self._unanswered)
                self._fail(error, self._unanswered[0])
                self._unanswered.clear()
                return
            log_retry(self._unanswered[0].call, error, self._attempt, delay)
            yield Pause(delay)
            for sent in self._unanswered:
                error = yield from self._send_reading(sent)
                if error is not None:
                    break

    def _receive(self, *, wait: bool) -> LiveProcedure[bool]:
        """Receive an answer; return whether there was one, or the end of the connection."""
        outcome = yield ReceiveAnswer(wait)
        if outcome is None:
            return False
        if not isinstance(outcome, Response):
            yield from self._send_again(outcome)
            return True
        self._attempt = 0
        sent = self._unanswered.popleft()
        if self._error is None:
            try:
                self._answers.append((yield from self._answer(sent, outcome)))
            except StreamnormError as error:
                self._fail(error, sent)
        return True

    def _answer(self, sent: Sent, reply: Response) -> LiveProcedure[Normalized]:
        again = sent.times > 1
        error = problem_of(reply)
        if error is None:
            answer = sent.call.answer(reply)
            if answer.replayed and not again:
                raise StreamnormError(f"another writer of {sent.call.path} used the number {sent.seq} first")
            if answer.seq != sent.seq:
                raise UnexpectedAnswer(f"the reading with number {sent.seq} was answered as number {answer.seq}")
            return answer
        if again and isinstance(error, StaleSequence) and sent.seq <= error.last_seq <= self._last:
            lost = requests.normalize(self._procedures.stream, sent.reading, stats=False)
            answer = yield from ask(lost, self._procedures.retries)
            return replace(answer, seq=sent.seq, replayed=True, recomputed=True)
        raise error

    def _fail(self, error: StreamnormError, sent: Sent) -> None:
        error.seq = sent.seq
        self._error = error
        self._procedures.counter.forget()
