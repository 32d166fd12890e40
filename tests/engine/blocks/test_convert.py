"""A block's rows, one by one, are the readings and answers that they would have been alone."""

from __future__ import annotations

import math

import pytest

from streamnorm.engine.blocks.block import observe_block
from streamnorm.engine.blocks.convert import table_rows
from streamnorm.engine.reading import parse_reading
from tests.support.engine import LIMITS, NOW, block_of, new, plain

ROWS = [[20.0, 1.0], [math.nan, 2.0], [22.0, 4.0], [21.0, 3.0]]
TIMES = [NOW - 30.0, NOW - 20.0, NOW - 10.0, NOW]


@pytest.mark.parametrize("first_seq", [None, 7])
@pytest.mark.parametrize("times", [None, TIMES])
def test_the_rows_of_a_block_are_as_if_each_had_come_alone(first_seq: int | None, times: list[float] | None) -> None:
    whole, alone = new(warmup=2), new(warmup=2)
    for stream in (whole, alone):
        stream.observe(parse_reading({"a": 19.0, "b": 0.0}, LIMITS, seq=3), NOW - 40.0, LIMITS)
    block = block_of(ROWS, times=times, first_seq=first_seq)
    pairs = list(table_rows(block, observe_block(whole, block, NOW, LIMITS), listed=True))
    assert len(pairs) == len(ROWS)
    for row, (reading, answer) in enumerate(pairs):
        seq = None if first_seq is None else first_seq + row
        timestamp = None if times is None else times[row]
        values = {name: None if math.isnan(x) else x for name, x in zip("ab", ROWS[row], strict=True)}
        single = alone.observe(parse_reading(values, LIMITS, timestamp=timestamp, seq=seq), NOW, LIMITS)
        assert (reading.names, reading.listed, reading.timestamp, reading.seq) == (("a", "b"), True, timestamp, seq)
        assert plain(answer).tobytes() == plain(single).tobytes()
        assert (answer.count, answer.ready, answer.gap) == (single.count, single.ready, single.gap)
