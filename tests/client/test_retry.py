"""When a call is sent again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm_client import ConnectionFailed, StreamnormError, TimedOut
from streamnorm_client._calls.retry import FIRST_DELAY, LONGEST_DELAY, LONGEST_RETRY_AFTER, delay_before_retry
from streamnorm_client._problems import problem

NEVER_SENT = ConnectionFailed("refused", maybe_applied=False)
CUT = ConnectionFailed("cut")


def delay(error: StreamnormError, *, attempt: int = 1, repeatable: bool = True, luck: float = 0.5) -> float | None:
    """Ask the policy, with five retries."""
    return delay_before_retry(attempt, 5, error, repeatable=repeatable, luck=luck)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_service_that_is_busy_or_away_is_tried_again(status: int) -> None:
    assert delay(problem(status, {})) == FIRST_DELAY / 2


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422, 500])
def test_an_answer_that_would_come_again_is_not_asked_for_again(status: int) -> None:
    assert delay(problem(status, {})) is None


@pytest.mark.parametrize("error", [NEVER_SENT, CUT, TimedOut("slow")])
def test_a_repeatable_call_without_answer_is_tried_again(error: StreamnormError) -> None:
    assert delay(error) is not None


@pytest.mark.parametrize("error", [CUT, TimedOut("slow"), problem(503, {}), problem(502, {})])
def test_a_call_that_must_not_be_repeated_is_not_sent_again_once_it_may_have_arrived(error: StreamnormError) -> None:
    assert delay(error, repeatable=False) is None


@pytest.mark.parametrize("error", [NEVER_SENT, problem(429, {})])
def test_a_call_that_must_not_be_repeated_is_sent_again_if_it_cannot_have_been_applied(error: StreamnormError) -> None:
    assert delay(error, repeatable=False) is not None


def test_the_policy_gives_up_after_the_last_retry() -> None:
    assert [delay(CUT, attempt=attempt) is None for attempt in (5, 6)] == [False, True]


def test_retry_after_is_waited_for() -> None:
    assert delay(problem(503, {}, retry_after=7.0), luck=0.0) == 7.0


def test_a_service_that_asks_for_more_patience_than_ours_is_not_waited_for() -> None:
    assert delay(problem(503, {}, retry_after=LONGEST_RETRY_AFTER + 1)) is None


@given(attempt=st.integers(1, 5000), luck=st.floats(0, 1, exclude_max=True))
def test_waits_double_up_to_a_bound_and_are_spread_over_all_of_it(attempt: int, luck: float) -> None:
    wait = delay_before_retry(attempt, 5000, CUT, repeatable=True, luck=luck)
    assert wait == luck * min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(attempt - 1, 30))
