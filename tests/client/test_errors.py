"""Problems as exceptions."""

from __future__ import annotations

import pytest

import streamnorm_client
from streamnorm_client import InvalidReading, Problem, StaleSequence, StreamnormError
from streamnorm_client._calls.call import Response, problem_of
from streamnorm_client._problems import PROBLEMS, problem


@pytest.mark.parametrize("slug", PROBLEMS)
def test_every_problem_type_has_the_class_of_its_name(slug: str) -> None:
    name = "".join(word.capitalize() for word in slug.split("-"))
    name = {"NotImplemented": "Unimplemented"}.get(name, name)  # Python's own is another thing
    assert PROBLEMS[slug] is getattr(streamnorm_client, name)


def test_every_class_of_problems_has_its_problem_type() -> None:
    exported = {getattr(streamnorm_client, name) for name in streamnorm_client.__all__}
    leaves = {cls for cls in exported if issubclass(cls, Problem) and not cls.__subclasses__()}
    assert leaves == set(PROBLEMS.values())


def test_a_problem_tells_where_the_faults_are() -> None:
    faults = [{"pointer": "/values/temp", "detail": "is no number"}]
    error = problem(422, {"type": "/problems/invalid-reading", "detail": "1 fault", "errors": faults})
    assert (type(error), str(error), error.errors[0].pointer) == (
        InvalidReading,
        "1 fault; /values/temp: is no number",
        "/values/temp",
    )


def test_an_unknown_problem_type_is_a_problem_still() -> None:
    error = problem(418, {"type": "https://example.org/teapot", "title": "short and stout", "spout": 1})
    assert (type(error), error.detail, error.members["spout"]) == (Problem, "short and stout", 1)


@pytest.mark.parametrize("errors", [None, {"temp": ["is wrong"]}, ["is wrong"]])
def test_faults_in_a_form_of_somebody_elses_are_left_in_the_members(errors: object) -> None:
    error = problem(400, {"detail": "wrong", "errors": errors})
    assert (str(error), error.errors, error.members["errors"]) == ("wrong", (), errors)


def test_an_error_page_of_a_proxy_is_a_problem() -> None:
    error = problem_of(Response(502, {}, b"<html>"))
    assert isinstance(error, Problem)
    assert str(error) == "HTTP status 502"


def test_a_stale_sequence_tells_the_last_number() -> None:
    error = problem(409, {"type": "/problems/stale-sequence", "last_seq": 9})
    assert isinstance(error, StaleSequence)
    assert error.last_seq == 9


def test_an_error_half_way_through_a_bulk_call_says_so() -> None:
    error = StreamnormError("cut")
    error.rows_done = 20000
    assert str(error) == "cut (the 20000 rows before this block were applied)"


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [(streamnorm_client.ConnectionFailed, ConnectionError), (streamnorm_client.TimedOut, TimeoutError)],
)
def test_a_missing_answer_is_caught_by_pythons_own_names_too(ours: type, builtin: type) -> None:
    assert issubclass(ours, builtin)
