"""The retry policy, without I/O.

A request that cannot have reached the service is always retried. One that may have been received is retried only if it
is repeatable (idempotent): reading state, replacing it, or observing under a sequence number.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, Union, cast

from streamnorm_client._calls.call import Call, Response, problem_of
from streamnorm_client._errors import StreamnormError, TransportError
from streamnorm_client._problems import Problem

if TYPE_CHECKING:
    from typing import Any

T = TypeVar("T")

log = logging.getLogger(__name__)

DEFAULT_RETRIES = 6  # three seconds on average, enough for a restart of the service
FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0
LONGEST_RETRY_AFTER = 60.0  # a longer delay is left to the caller
REQUEST_TIMEOUT = 408
TOO_MANY_REQUESTS = 429
PASSING = frozenset({REQUEST_TIMEOUT, TOO_MANY_REQUESTS, 502, 503, 504})


@dataclass(frozen=True)
class Pause:
    """A step that waits."""

    seconds: float


# A procedure yields calls and pauses, is resumed with the outcome of each, and returns its result.
Step = Union["Call[Any]", Pause]
Outcome = Union[Response, TransportError, None]
Procedure = Generator[Step, Outcome, T]


def delay_before_retry(
    attempt: int, retries: float, error: StreamnormError, *, repeatable: bool, luck: float
) -> float | None:
    """Return the seconds to wait before another attempt; None: give up.

    `attempt` counts the attempts made, `luck` is uniform in [0, 1). Delays grow exponentially up to `LONGEST_DELAY`,
    with full jitter, so that clients disconnected together do not reconnect together. Retry-After is a lower bound.

    >>> [delay_before_retry(n, 3, TransportError("cut"), repeatable=True, luck=0.5) for n in (1, 2, 3, 4)]
    [0.05, 0.1, 0.2, None]
    """
    if attempt > retries or (error.maybe_applied and not repeatable):
        return None
    if isinstance(error, Problem) and error.status not in PASSING:
        return None
    asked = (error.retry_after if isinstance(error, Problem) else None) or 0.0
    if asked > LONGEST_RETRY_AFTER:
        return None
    return asked + luck * min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(attempt - 1, 30))


@dataclass
class Delivery(Generic[T]):
    """The outcome of a call after all attempts; `doubtful`: an unanswered attempt may have been applied."""

    result: T | StreamnormError
    doubtful: bool

    def answer(self) -> T:
        """Return the answer, or raise the error."""
        if isinstance(self.result, StreamnormError):
            raise self.result
        return self.result


def deliver(call: Call[T], retries: int) -> Procedure[Delivery[T]]:
    """Send a call, with retries, until it is answered or the policy gives up."""
    attempt, doubtful = 0, False
    while True:
        attempt += 1
        outcome = cast("Response | TransportError", (yield call))
        error = problem_of(outcome) if isinstance(outcome, Response) else outcome
        if error is None:
            return Delivery(call.answer(cast("Response", outcome)), doubtful)
        delay = delay_before_retry(attempt, retries, error, repeatable=call.repeatable, luck=random.random())  # noqa: S311 - spreads load, guards nothing
        doubtful = doubtful or error.maybe_applied
        if delay is None:
            error.maybe_applied = doubtful  # an earlier attempt may have been applied though the last one was not
            return Delivery(error, doubtful)
        log_retry(call, error, attempt, delay)
        yield Pause(delay)


def log_retry(call: Call[Any], error: StreamnormError, attempt: int, delay: float) -> None:
    """Log a retry."""
    log.info("%s %s is sent again in %.2f s, after attempt %d: %s", call.method, call.path, delay, attempt, error)


def ask(call: Call[T], retries: int) -> Procedure[T]:
    """Send a call, with retries, and return its answer."""
    return (yield from deliver(call, retries)).answer()
