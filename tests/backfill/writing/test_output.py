"""What is written: all that is not normalized stays byte for byte."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamnorm.engine.reading import Array
from tests.backfill.recorded import ROWS, column, run, written


def expected(values: Array) -> Array:
    """Normalize by pandas."""
    frame = pd.DataFrame(values)
    moving = frame.ewm(alpha=1 / 1000)
    found: Array = ((frame - moving.mean()) / moving.std(bias=True)).fillna(0.0).to_numpy()
    return found


PLAIN = "time,x,note,y\n" + "".join(f"2026-01-01 00:00:{n:02},{x},n{n},{y}\n" for n, (x, y) in enumerate(ROWS.tolist()))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_line_ends_and_marks_stay(tmp_path: Path, encoding: str, end: str) -> None:
    text = PLAIN.replace("note", "Größe Å °C").replace("\n", end)
    ran = run(tmp_path, written(tmp_path, text.encode(encoding)))
    assert ran.status == 0, ran.told
    back, names = ran.out.decode(encoding), text.split(end)[0]
    assert (back.split(end)[0], back.count(end), back.count("\n")) == (names, 61, 61)
    assert [line.split(",")[::2] for line in back.split(end)[:-1]] == [
        line.split(",")[::2] for line in text.split(end)[:-1]
    ]
    assert ran.out[:2] == text.encode(encoding)[:2]


@pytest.mark.parametrize(
    "packed", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress], ids=["gzip", "bzip2", "xz", "zstd"]
)
def test_packed_files_are_read_as_what_they_hold(tmp_path: Path, packed: object) -> None:
    plain = run(tmp_path, written(tmp_path, PLAIN), "--stream", "a")
    other = run(tmp_path, written(tmp_path, packed(PLAIN.encode()), "in.csv.z"), "--stream", "b")  # type: ignore[operator]
    assert (other.status, other.out) == (0, plain.out)


@pytest.mark.parametrize(
    "packed", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress], ids=["gzip", "bzip2", "xz", "zstd"]
)
def test_a_packed_file_that_is_cut_short_is_told(tmp_path: Path, packed: Callable[[bytes], bytes]) -> None:
    ran = run(tmp_path, written(tmp_path, packed(PLAIN.encode())[:-30], "in.csv.z"))
    assert (ran.status, "in.csv.z: Compressed file ended before the end-of-stream marker" in ran.told) == (1, True)


def test_zstd_files_may_have_several_frames_and_be_learned_in_pieces(tmp_path: Path) -> None:
    lines = PLAIN.splitlines(keepends=True)
    first, grown = "".join(lines[:40]).encode(), zstandard.compress("".join(lines[40:]).encode())
    plain = run(tmp_path, written(tmp_path, PLAIN), "--stream", "a")
    before = run(tmp_path, written(tmp_path, zstandard.compress(first), "in.csv.zst"), "--stream", "b")
    after = run(tmp_path, written(tmp_path, zstandard.compress(first) + grown, "in.csv.zst"), "--stream", "b")
    assert (before.status, after.status, after.out) == (0, 0, plain.out)


def test_a_damaged_zstd_file_is_told(tmp_path: Path) -> None:
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(PLAIN.encode())
    ran = run(tmp_path, written(tmp_path, packed[:60] + b"damaged" + packed[67:], "in.csv.zst"))
    assert (ran.status, "in.csv.zst: zstd decompress" in ran.told) == (1, True)


def test_a_zstd_file_without_its_library_tells_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "compression.zstd", "zstandard":
        monkeypatch.setitem(sys.modules, name, None)
    ran = run(tmp_path, written(tmp_path, zstandard.compress(PLAIN.encode()), "in.csv.zst"))
    assert ran.status == 1
    assert ran.told.count("in.csv.zst") == 1
    assert "pip install 'streamnorm[files]'" in ran.told


def test_values_are_those_of_pandas(tmp_path: Path) -> None:
    ran = run(tmp_path, written(tmp_path, PLAIN))
    found = np.column_stack([column(ran.out, name) for name in "xy"])
    np.testing.assert_allclose(found, expected(ROWS), atol=1e-8)


def test_quotes_units_titles_comments_and_empty_columns_stay(tmp_path: Path) -> None:
    text = (
        '\ufeffLogger 7\r\n"Zeit","T1 °C","Notiz",""\r\n"-","°C","-",""\r\n'
        '"2026-01-01 00:00:00","021.50","ok, ""x""",""\r\n'
        '# pause\r\n\r\n"2026-01-01 00:01:00","n/a","NA",""\r\n"2026-01-01 00:02:00","1e1"," 5 ",""\r\n,,,\r\n'
    )
    ran = run(tmp_path, written(tmp_path, text))
    assert (ran.status, ran.out.decode()) == (0, text.replace("021.50", "0.0").replace("1e1", "-0.9994998749374611"))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=25
)
@given(st.lists(st.sampled_from(["", "NA", "a b", '"q, ""q"""', "é", "3x", "-", "  "]), min_size=5, max_size=5))
def test_cells_of_texts_are_never_touched(tmp_path: Path, notes: list[str]) -> None:
    text = "t_note,x,u\nfirst one,1,a\n" + "".join(f"{note},{n}.5,b{n}\n" for n, note in enumerate(notes))
    ran = run(tmp_path, written(tmp_path, text), "--again", "--columns", "x")
    kept = [line.rsplit(",", 2) for line in ran.out.decode().splitlines()]
    assert [(row[0], row[2]) for row in kept] == [tuple(line.rsplit(",", 2)[::2]) for line in text.splitlines()]


def test_decimal_commas_are_written_as_they_are_read(tmp_path: Path) -> None:
    text = "t;x;y\n" + "".join(f"{n};{x};{y}\n".replace(".", ",") for n, (x, y) in enumerate(ROWS.tolist()))
    ran = run(tmp_path, written(tmp_path, text))
    np.testing.assert_allclose(column(ran.out, "y", ";", ","), expected(ROWS)[:, 1], atol=1e-8)
    assert b"." not in ran.out


def test_raw_and_normalized_may_stand_side_by_side(tmp_path: Path) -> None:
    plain = run(tmp_path, written(tmp_path, PLAIN), "--stream", "a")
    ran = run(tmp_path, "in.csv", "--stream", "b", "--suffix", "_n", out="both.csv")
    frame, raw = pd.read_csv(tmp_path / "both.csv"), pd.read_csv(tmp_path / "in.csv")
    pd.testing.assert_frame_equal(frame[["time", "x", "note", "y"]], raw)
    np.testing.assert_array_equal(
        frame[["x_n", "y_n"]].to_numpy(), np.column_stack([column(plain.out, n) for n in "xy"])
    )
    assert ran.out.decode().splitlines()[0] == "time,x,note,y,x_n,y_n"


def test_digits_are_as_many_as_is_said(tmp_path: Path) -> None:
    found = column(run(tmp_path, written(tmp_path, PLAIN), "--precision", "2").out, "x")
    np.testing.assert_array_equal(found, expected(ROWS)[:, 0].round(2) + 0.0)


@pytest.mark.parametrize("option", ["--format=ndjson", ""])
def test_a_csv_can_become_ndjson(tmp_path: Path, option: str) -> None:
    ran = run(tmp_path, written(tmp_path, PLAIN), *filter(None, [option]), out="out.ndjson")
    rows = [json.loads(line) for line in ran.out.splitlines()]
    np.testing.assert_allclose([[row["x"], row["y"]] for row in rows], expected(ROWS), atol=1e-8)
    assert rows[7]["note"] == "n7"


def test_a_csv_can_become_parquet(tmp_path: Path) -> None:
    assert run(tmp_path, written(tmp_path, PLAIN), out="out.parquet").status == 0
    frame = pd.read_parquet(tmp_path / "out.parquet")
    np.testing.assert_allclose(frame[["x", "y"]], expected(ROWS), atol=1e-8)


@pytest.mark.parametrize("suffix", ["", "_n"])
def test_parquet_keeps_its_types_and_metadata(tmp_path: Path, suffix: str) -> None:
    table = pa.table(
        {
            "at": pa.array(pd.date_range("2026-01-01", periods=60, freq="s", tz="UTC")),
            "x": pa.array(ROWS[:, 0].astype(np.float32)),
            "who": pa.array(["a"] * 60).dictionary_encode(),
            "y": pa.array([None, *ROWS[1:, 1].tolist()]),
        }
    ).replace_schema_metadata({b"site": b"roof"})
    pq.write_table(table, tmp_path / "in.parquet")
    ran = run(tmp_path, "in.parquet", *(["--suffix", suffix] if suffix else []), out="out.parquet")
    assert ran.status == 0, ran.told
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.schema.metadata == {b"site": b"roof"}
    assert found.select(["at", "who"]).equals(table.select(["at", "who"]))
    values = np.column_stack([ROWS[:, 0].astype(np.float32).astype(float), [np.nan, *ROWS[1:, 1]]])
    answer = expected(values).copy()
    answer[0, 1] = np.nan
    np.testing.assert_allclose(found.select(["x" + suffix, "y" + suffix]).to_pandas().to_numpy(), answer, atol=1e-8)


@pytest.mark.parametrize("out", ["out.parquet", "out.ndjson", "out.csv"])
def test_columns_of_parquet_that_are_nested_or_hold_bytes_stay(tmp_path: Path, out: str) -> None:
    others = {
        "place": pa.array([{"lat": 52.5, "tags": {"floor": 1}}] * 60),
        "ring": pa.array([[1.0, None]] * 60),
        "labels": pa.array([[("a", 1)]] * 60, pa.map_(pa.string(), pa.int64())),
        "key": pa.array([b"\xff"] * 60),
        "took": pa.array([timedelta(seconds=1)] * 60),
    }
    pq.write_table(pa.table({"x": ROWS[:, 0], **others}), tmp_path / "in.parquet")
    ran = run(tmp_path, "in.parquet", out=out)
    assert (ran.status, "place (text), ring (text), labels (text), key (text), took (text)" in ran.told) == (0, True)
    if out == "out.parquet":
        assert pq.read_table(tmp_path / out).select([*others]).equals(pa.table(others))
    else:
        assert ran.out.count(b"52.5") == 60


def test_ndjson_is_read_flat_and_as_readings(tmp_path: Path) -> None:
    rows = [{"at": f"2026-01-01T00:00:{n:02}Z", "values": {"x": x, "y": y}} for n, (x, y) in enumerate(ROWS.tolist())]
    ran = run(tmp_path, written(tmp_path, "\n".join(map(json.dumps, rows)), "in.ndjson"), out="out.csv")
    found = np.column_stack([column(ran.out, name) for name in "xy"])
    np.testing.assert_allclose(found, expected(ROWS), atol=1e-8)


def test_a_sheet_of_a_workbook_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Zeit", "x", "note"])
    for n, x in enumerate(ROWS[:, 0].tolist()):
        sheet.append([pd.Timestamp("2026-01-01") + pd.Timedelta(n, "min"), x, None])
    book.save(tmp_path / "in.xlsx")
    ran = run(tmp_path, "in.xlsx")
    assert ran.status == 0, ran.told
    np.testing.assert_allclose(column(ran.out, "x"), expected(ROWS[:, :1])[:, 0], atol=1e-8)
    book.create_sheet("more")
    book.save(tmp_path / "two.xlsx")
    assert "--sheet" in run(tmp_path, "two.xlsx").told


def test_a_date_and_a_time_of_the_day_in_two_columns_of_a_sheet_are_the_time(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["day", "time", "x"])
    moments = [datetime(2026, 1, 1, 23, 30, tzinfo=UTC) + timedelta(minutes=n) for n in range(60)]
    for moment, x in zip(moments, ROWS[:, 0].tolist(), strict=True):
        sheet.append([moment.date(), moment.time(), x])
    book.save(tmp_path / "in.xlsx")
    ran = run(tmp_path, "in.xlsx", out="out.csv")
    assert "time: day + time" in ran.told
    assert ran.out.splitlines()[31].startswith(b"2026-01-02,00:00:00,")


@pytest.mark.parametrize("bytes_left", [0, 1000])
def test_what_is_no_workbook_is_told(tmp_path: Path, bytes_left: int) -> None:
    openpyxl.Workbook().save(tmp_path / "in.xlsx")
    written(tmp_path, (tmp_path / "in.xlsx").read_bytes()[:bytes_left], "in.xlsx")
    ran = run(tmp_path, "in.xlsx")
    assert (ran.status, "in.xlsx is no workbook, or is damaged: " in ran.told) == (1, True)
