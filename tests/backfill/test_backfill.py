"""Backfills: what comes out, and that one which was stopped goes on to the same bits."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from streamnorm import Normalizer
from streamnorm.backfill.files import Unreadable, form_of
from streamnorm.backfill.journal import OtherBackfill
from streamnorm.backfill.run import Work, backfill
from streamnorm.backfill.shapes import Columns, Part
from streamnorm.backfill.sinks import Sink, local, remote
from streamnorm.engine.reading import Array
from tests.support.processes import Service

ROWS = np.random.default_rng(0).normal(20, 3, (230, 2)).round(3)
STREAMS = ["a", "b", "a"]


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    """Open a data folder."""
    with local(tmp_path / "data", {}) as opened:
        yield opened


def wide(path: Path) -> Work:
    """Record a wide table of two streams, with a column that holds no numbers."""
    lines = [f"{STREAMS[n % 3]},{1000 + n},{x},{y},fine" for n, (x, y) in enumerate(ROWS.tolist())]
    path.write_text("\n".join(["device,at,x,y,note", *lines, ""]))
    return Work(path, "csv", Columns("s", "device", "at"), path.with_name("out.csv"), "csv", 40)


def expected() -> list[list[float]]:
    """Normalize the rows of the wide table one by one."""
    normalizers = {stream: Normalizer() for stream in STREAMS}
    return [normalizers[STREAMS[n % 3]].observe(row).values for n, row in enumerate(ROWS.tolist())]


def result(work: Work) -> list[list[float]]:
    """Read the normalized columns."""
    assert work.out is not None
    return [[float(row["x"]), float(row["y"])] for row in csv.DictReader(io.StringIO(work.out.read_text()))]


class Stopped(Exception):
    """The power went off."""


class Breaking:
    """A sink that stops after so many blocks, before or after the block is applied."""

    def __init__(self, sink: Sink, blocks: int, *, applied: bool) -> None:
        self._sink = sink
        self._left = blocks
        self._applied = applied

    def last_seq(self, stream: str) -> int:
        """Ask the sink."""
        return self._sink.last_seq(stream)

    def observe(self, part: Part, first_seq: int) -> tuple[Array, int]:
        """Observe, and stop."""
        self._left -= 1
        if self._left == 0 and not self._applied:
            raise Stopped
        answer = self._sink.observe(part, first_seq)
        if self._left == 0:
            raise Stopped
        return answer

    def commit(self) -> None:
        """Commit."""
        self._sink.commit()


def test_a_wide_table_is_normalized_as_the_engine_does_it(tmp_path: Path, sink: Sink) -> None:
    work = wide(tmp_path / "in.csv")
    done = backfill(work, sink)
    assert (done.rows, done.streams, done.touched, done.untouched) == (230, 2, ["x", "y"], ["note"])
    assert result(work) == expected()


def test_the_other_columns_stay_as_they_are(tmp_path: Path, sink: Sink) -> None:
    work = wide(tmp_path / "in.csv")
    backfill(work, sink)
    assert work.out is not None
    before, after = (list(csv.DictReader(io.StringIO(file.read_text()))) for file in (work.file, work.out))
    kept = ("device", "at", "note")
    assert [[row[name] for name in kept] for row in after] == [[row[name] for name in kept] for row in before]


def test_the_streams_are_left_warmed_up_for_a_service(tmp_path: Path) -> None:
    with local(tmp_path / "data", {"horizon": 50}) as sink:
        backfill(wide(tmp_path / "in.csv"), sink)
    with Service(tmp_path) as service, remote(service.url, {}) as there:
        assert (there.last_seq("a"), there.last_seq("b")) == (153, 77)


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("blocks", [1, 2, 5, 12])
def test_a_backfill_that_was_stopped_goes_on_to_the_same_bits(
    tmp_path: Path, sink: Sink, blocks: int, *, applied: bool
) -> None:
    work = wide(tmp_path / "in.csv")
    with pytest.raises(Stopped):
        backfill(work, Breaking(sink, blocks, applied=applied))
    assert work.out is not None
    assert not work.out.exists()
    done = backfill(work, sink)
    assert (done.resumed_at, done.rows) == ((blocks - 1) // 2 * 40, 230)
    assert result(work) == expected()
    assert sink.last_seq("a") == 153


def test_a_stop_while_the_rows_are_written_leaves_no_half_row(tmp_path: Path, sink: Sink) -> None:
    work = wide(tmp_path / "in.csv")
    with pytest.raises(Stopped):
        backfill(work, Breaking(sink, 5, applied=True))
    assert work.part is not None
    with work.part.open("a") as part:
        part.write("a,1080,0.1")
    backfill(work, sink)
    assert result(work) == expected()


def test_rows_join_what_a_stream_has_numbered_before(tmp_path: Path, sink: Sink) -> None:
    sink.observe(Part("a", ("x", "y"), ROWS[:7], None, []), 1)
    work = wide(tmp_path / "in.csv")
    with pytest.raises(Stopped):
        backfill(work, Breaking(sink, 3, applied=True))
    backfill(work, sink)
    assert sink.last_seq("a") == 153 + 7


def test_a_service_gives_what_the_data_folder_gives(tmp_path: Path) -> None:
    work = wide(tmp_path / "in.csv")
    with Service(tmp_path) as service, remote(service.url, {"warmup": 5}) as there:
        with pytest.raises(Stopped):
            backfill(work, Breaking(there, 4, applied=True))
        backfill(work, there)
    assert result(work) == expected()


def test_streams_that_lost_readings_meanwhile_are_told(tmp_path: Path) -> None:
    work = wide(tmp_path / "in.csv")
    with local(tmp_path / "data", {}) as sink, pytest.raises(Stopped):
        backfill(work, Breaking(sink, 5, applied=False))
    with local(tmp_path / "other", {}) as sink, pytest.raises(Unreadable, match="'a' has lost 53"):
        backfill(work, sink)


def test_another_work_does_not_take_over_a_journal(tmp_path: Path, sink: Sink) -> None:
    work = wide(tmp_path / "in.csv")
    with pytest.raises(Stopped):
        backfill(work, Breaking(sink, 5, applied=False))
    other = Work(work.file, "csv", Columns("s", "device"), work.out, "csv", 40)
    with pytest.raises(OtherBackfill, match="another columns"):
        backfill(other, sink)


def test_a_long_table_is_normalized_feature_by_feature(tmp_path: Path, sink: Sink) -> None:
    path = tmp_path / "long.csv"
    lines = [
        f"{1000 + n},{name},{value}"
        for n, row in enumerate(ROWS.tolist())
        for name, value in zip("xy", row, strict=True)
    ]
    path.write_text("\n".join(["at,what,value", *lines]))
    work = Work(path, "csv", Columns("long", None, "at", "what"), tmp_path / "out.csv", "csv", 40)
    backfill(work, sink)
    assert work.out is not None
    values = [float(row["value"]) for row in csv.DictReader(io.StringIO(work.out.read_text()))]
    assert values == Normalizer().observe_block(ROWS).values.ravel().tolist()
    assert sink.last_seq("long") == 230


def test_a_long_table_may_miss_values_and_repeat_features(tmp_path: Path, sink: Sink) -> None:
    path = tmp_path / "long.ndjson"
    rows = [("x", 1.0), ("y", 2.0), ("x", 3.0), ("x", None), ("y", 4.0)]
    path.write_text("\n".join(json.dumps({"feature": name, "value": value}) for name, value in rows))
    backfill(Work(path, "ndjson", Columns("long", feature_column="feature"), tmp_path / "o.ndjson", "ndjson"), sink)
    values = [json.loads(line)["value"] for line in (tmp_path / "o.ndjson").read_text().splitlines()]
    normalizer = Normalizer()
    answers = [normalizer.observe({"x": x, "y": y}).values for x, y in ((1, 2), (3, None), (None, 4))]
    assert values == [0.0, 0.0, answers[1]["x"], None, answers[2]["y"]]


def test_recorded_readings_are_understood(tmp_path: Path, sink: Sink) -> None:
    path = tmp_path / "readings.ndjson"
    path.write_text("\n".join(json.dumps({"stream": "s", "values": {"x": x, "y": y}}) for x, y in ROWS.tolist()))
    backfill(Work(path, "ndjson", Columns("", "stream"), tmp_path / "out.csv", "csv", 40), sink)
    frame = pd.read_csv(tmp_path / "out.csv")
    np.testing.assert_array_equal(frame[["x", "y"]].to_numpy(), Normalizer().observe_block(ROWS).values)


def test_parquet_keeps_its_columns_and_their_types(tmp_path: Path, sink: Sink) -> None:
    frame = pd.DataFrame(ROWS.round(0), columns=["x", "y"]).astype({"x": "int64"})
    frame["at"] = pd.date_range("2026-01-01", periods=len(ROWS), freq="s", tz="UTC")
    frame["note"] = "fine"
    frame.to_parquet(tmp_path / "in.parquet")
    work = Work(tmp_path / "in.parquet", "parquet", Columns("s", None, "at"), tmp_path / "o.parquet", "parquet", 40)
    with pytest.raises(Stopped):
        backfill(work, Breaking(sink, 3, applied=True))
    backfill(work, sink)
    found = pd.read_parquet(tmp_path / "o.parquet")
    pd.testing.assert_frame_equal(found[["at", "note"]], frame[["at", "note"]], check_dtype=False)
    assert str(found["at"].dtype).startswith("datetime64")
    np.testing.assert_array_equal(found[["x", "y"]], Normalizer().observe_block(ROWS.round(0)).values)


def test_progress_is_told_after_every_chunk(tmp_path: Path, sink: Sink) -> None:
    told: list[tuple[int, float]] = []
    backfill(wide(tmp_path / "in.csv"), sink, lambda rows, part: told.append((rows, part)))
    assert [rows for rows, _ in told] == [40, 80, 120, 160, 200, 230]
    assert told[-1][1] == 1.0


@pytest.mark.parametrize(
    ("text", "columns", "told"),
    [
        ("", Columns("s"), "has no rows|first line"),
        ("a,a\n1,2\n", Columns("s"), "name the columns"),
        ("a,b\n1\n", Columns("s"), "line 2 has 1 cells"),
        ("a\nwarm\n", Columns("s"), "none of the columns a holds numbers"),
        ("a\n1\nwarm\n", Columns("s", features=("a",)), "row 2: 'warm' is no number"),
        ("a,t\n1,now\n", Columns("s", time_column="t"), "row 1: must be epoch seconds"),
        ("a,d\n1,\n", Columns("s", "d"), "row 1: the column 'd' is empty"),
        ("a\n1\n", Columns("s", "device"), "no column 'device'; there are a"),
        ("a\n1\n", Columns("s", None, None, "what"), "no column 'what'"),
    ],
)
def test_what_cannot_be_understood_is_told(tmp_path: Path, sink: Sink, text: str, columns: Columns, told: str) -> None:
    path = tmp_path / "in.csv"
    path.write_text(text)
    with pytest.raises(Unreadable, match=told):
        backfill(Work(path, "csv", columns), sink)


@pytest.mark.parametrize("line", ["nope", "[1]", "1"])
def test_lines_that_are_no_objects_are_told(tmp_path: Path, sink: Sink, line: str) -> None:
    path = tmp_path / "in.ndjson"
    path.write_text('{"a": 1}\n' + line)
    with pytest.raises(Unreadable, match="line 2"):
        backfill(Work(path, "ndjson", Columns("s")), sink)


def test_a_file_of_no_known_ending_must_be_named() -> None:
    with pytest.raises(Unreadable, match=r"data\.txt"):
        form_of(Path("data.txt"))


def test_a_file_of_parquet_without_its_library_tells_what_to_install(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    pd.DataFrame({"a": [1.0]}).to_parquet(tmp_path / "in.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(Unreadable, match=r"streamnorm\[parquet\]"):
        backfill(Work(tmp_path / "in.parquet", "parquet", Columns("s")), sink)
