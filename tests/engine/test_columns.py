"""Readings gathered as columns: what is too much is refused before anything is observed."""

from __future__ import annotations

import numpy as np
import pytest

from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.errors import LimitExceeded

FEW = Limits(max_features=2)


def gathered(*readings: tuple[str, str]) -> ReadingColumns:
    """Gather readings, given as a stream's id and the letters that its features are named."""
    return ReadingColumns.of([(to, parse_reading(dict.fromkeys(names, 1.0), Limits())) for to, names in readings], FEW)


def test_as_many_features_as_every_stream_may_have_are_gathered() -> None:
    assert len(gathered(("s", "ab"), ("s", "ba"), ("s", "a"))) == 3
    assert len(gathered(("s", "ab"), ("t", "cd"))) == 2


@pytest.mark.parametrize(
    ("readings", "count"),
    [
        ([("s", "abc")], 3),
        ([("s", "ab"), ("s", "c")], 3),
        ([("s", "a"), ("s", "b"), ("s", "cd")], 4),
        ([("s", "ab"), ("t", "abc")], 3),
    ],
)
def test_more_features_than_a_stream_may_have_are_refused(readings: list[tuple[str, str]], count: int) -> None:
    with pytest.raises(LimitExceeded, match=f"a stream would have {count} features, the limit") as caught:
        gathered(*readings)
    assert caught.value.limit == "max_features"


def test_more_readings_than_max_rows_are_refused() -> None:
    readings = [(to, parse_reading([1.0], Limits())) for to in ("s", "t", "s")]
    two = Limits(max_rows=2)
    assert len(ReadingColumns.of(readings[:2], two)) == 2
    with pytest.raises(LimitExceeded, match="more than 2 readings") as caught:
        ReadingColumns.of(readings, two)
    assert caught.value.limit == "max_rows"


def test_a_tables_rows_are_the_readings_that_each_would_be_alone() -> None:
    values, times, seqs = np.array([[1.0, 2.0], [3.0, 4.0]], "f4"), np.array([5.0, np.nan]), np.array([-1, 7])
    columns = ReadingColumns.of_table(("a", "b"), values, times, seqs, Limits())
    assert [columns.reading(row) for row in range(len(columns))] == [
        parse_reading({"a": 1.0, "b": 2.0}, Limits(), timestamp=5.0),
        parse_reading({"a": 3.0, "b": 4.0}, Limits(), seq=7),
    ]
    bare = ReadingColumns.of_table(("a", "b"), values, None, None, Limits())
    assert bare.reading(1) == parse_reading({"a": 3.0, "b": 4.0}, Limits())


def test_a_table_has_no_more_features_than_a_stream_may_have() -> None:
    with pytest.raises(LimitExceeded, match="3 features"):
        ReadingColumns.of_table(("a", "b", "c"), np.ones((1, 3)), None, None, FEW)
