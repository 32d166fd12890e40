"""Arrow batches: the bits of their rows one by one, whichever way they travel."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from streamnorm.engines.arrow import observe_batch, read_batch, write_batch
from streamnorm.engines.rows import ANSWERED, Fields, observe_rows
from streamnorm.errors import InvalidReading
from tests.support.engine import NOW, varied

FIELDS = Fields(("a", "b"), "at", "n")


def batch(rows: int = 30) -> pa.RecordBatch:
    """Return readings, of which some lack a value, a time or a number, and one is refused."""
    values = varied(rows)
    missing = np.arange(rows) % 5 == 2
    return pa.RecordBatch.from_pydict(
        {
            "a": pa.array(values[:, 0], mask=missing),
            "b": pa.array(np.where(np.arange(rows) == 9, np.inf, values[:, 1])),
            "at": pa.array(NOW - 60.0 * np.arange(rows)[::-1], mask=np.arange(rows) == 4),
            "n": pa.array(np.arange(rows), mask=np.arange(rows) == 7),
            "name": ["boiler-7"] * rows,
        }
    )


def test_a_batch_gives_the_bits_of_its_rows() -> None:
    given = batch()
    blob, done = observe_batch(None, given, FIELDS, {"time_constant": 600.0}, NOW)
    by_rows, rows = observe_rows(None, given.to_pylist(), FIELDS, {"time_constant": 600.0}, NOW)
    assert blob == by_rows
    assert done.to_pylist() == rows
    assert done.schema.names == [*given.schema.names, *ANSWERED]


def test_a_batch_travels_as_bytes() -> None:
    assert read_batch(write_batch(batch())).equals(batch())
    assert len(read_batch(write_batch(batch().slice(0, 0)))) == 0


def test_times_may_be_timestamps() -> None:
    given = batch(12)
    micros = pa.compute.multiply(given.column("at"), 1e6).cast(pa.int64())
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        stamped = given.set_column(2, "at", micros.cast(kind))
        assert observe_batch(None, stamped, FIELDS, {}, NOW)[0] == observe_batch(None, given, FIELDS, {}, NOW)[0]


def test_what_is_no_batch_and_no_number_is_told() -> None:
    with pytest.raises(InvalidReading, match="no Arrow IPC stream"):
        read_batch(b"not Arrow")
    with pytest.raises(InvalidReading, match="cannot be taken as numbers"):
        observe_batch(None, batch(), Fields(("name",)), {}, NOW)
    with pytest.raises(InvalidReading, match="there is no field 'c'"):
        observe_batch(None, batch(), Fields(("c",)), {}, NOW)
