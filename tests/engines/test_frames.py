"""pandas frames: the bits of their rows one by one, whether they are worked on as tables or as rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from streamnorm.engines.frames import observe_frame
from streamnorm.engines.rows import ANSWERED, Fields, observe_rows
from tests.support.engine import NOW, varied

FIELDS = Fields(("a", "b"), "at", "n")


def frame(rows: int = 40) -> pd.DataFrame:
    """Return a frame of readings, of which some lack a value, a number or a time."""
    values = varied(rows)
    values[5, 0] = np.nan
    made = pd.DataFrame(values, columns=["a", "b"])
    made["at"] = NOW - 60.0 * np.arange(rows)[::-1]
    made["n"] = np.where(np.arange(rows) == 7, np.nan, np.arange(rows, dtype=float))
    return made


def test_a_table_gives_the_bits_of_its_rows() -> None:
    given = frame()
    given.loc[9, "b"] = np.inf
    order = given.sort_values("n", kind="stable")
    blob, done = observe_frame(None, given.sample(frac=1.0, random_state=0), FIELDS, {"time_constant": 600.0}, NOW)
    records = order.astype(object).where(order.notna(), None).to_dict("records")
    by_rows, rows = observe_rows(None, records, FIELDS, {"time_constant": 600.0}, NOW)  # type: ignore[arg-type]
    assert blob == by_rows
    for name in ("a", "b"):
        expected = [np.nan if row[name] is None else row[name] for row in rows]
        assert done[name].to_numpy().tobytes() == np.array(expected).tobytes()
    for name in ANSWERED:
        assert [None if pd.isna(each) else each for each in done[name]] == [row[name] for row in rows]


def test_maps_are_worked_on_row_by_row() -> None:
    wide = frame()
    maps = [{"a": a, "b": b} for a, b in zip(wide["a"], wide["b"], strict=True)]
    nested = wide.assign(v=pd.Series(maps, dtype=object))
    blob, done = observe_frame(None, nested, Fields("v", "at", "n"), {}, NOW)
    by_table, table = observe_frame(None, wide, FIELDS, {}, NOW)
    assert blob == by_table
    assert [row["b"] for row in done["v"]] == table["b"].tolist()


def test_times_without_a_zone_are_in_utc() -> None:
    stamps = pd.Series(pd.to_datetime([NOW - 1.0, NOW], unit="s"))
    values = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0], "n": [0, 1]})
    blob, _ = observe_frame(None, values.assign(at=stamps), FIELDS, {}, NOW)
    assert blob == observe_frame(None, values.assign(at=[NOW - 1.0, NOW]), FIELDS, {}, NOW)[0]
