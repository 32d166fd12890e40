"""How the lines of a table are cut, and where its names and rows are."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from streamnorm.backfill.findings.dialects import Wanted, found
from streamnorm.backfill.unreadable import Unreadable
from tests.backfill.recorded import looked, written


@pytest.mark.parametrize(
    ("text", "delimiter", "width", "header", "data"),
    [
        ("time,a\n1,2\n2,3\n", ",", 2, 0, 1),
        ("time;a;b\n1;2,5;3,5\n2;3,5;4,5\n", ";", 3, 0, 1),
        ("time\ta\n1\t2\n", "\t", 2, 0, 1),
        ("time|a\n1|2\n", "|", 2, 0, 1),
        ("  1   20.5\n 10  21.25\n", "blanks", 2, None, 0),
        ("t x\n1 20.5\n2 21.5\n", "blanks", 2, 0, 1),
        ("20.5\n21\n", ",", 1, None, 0),
        ("temp\n20.5\n21\n", ",", 1, 0, 1),
        ("2026-01-01 00:00:00,1\n2026-01-01 00:01:00,2\n", ",", 2, None, 0),
        ("Logger 7\nSite: roof, north\n\ntime,a,b\n1,2,3\n2,3,4\n3,4,5\n", ",", 3, 3, 4),
        ("time,a,b\ns,m/s,°C\n1,2,3\n2,3,4\n", ",", 3, 0, 2),
        ("time,a,b\ns,m/s,°C\n,Avg,Smp\n1,2,3\n2,3,4\n", ",", 3, 0, 3),
        ("time,a\n0,err\n1,20\n2,21\n", ",", 2, 0, 1),
        ("#time, a [m]\n1, 2\n2, 3\n", ",", 2, 0, 1),
        ("# made by x\n# time,a\n1,2\n2,3\n", ",", 2, 1, 2),
        ('"a;b";c\n1;2\n3;4\n', ";", 2, 0, 1),
        ("sep=;\ntime;a\n1;2,5\n2;3,5\n", ";", 2, 1, 2),
        ('"sep=,"\r\ntime,a\r\n1,2\r\n2,3\r\n', ",", 2, 1, 2),
    ],
)
def test_tables_are_found(text: str, delimiter: str, width: int, header: int | None, data: int) -> None:
    lines = found(text, Wanted())
    assert (lines.dialect.delimiter, lines.width, lines.header, lines.data) == (delimiter, width, header, data)


def test_a_first_row_of_text_is_no_unit_whatever_the_order_of_the_rows() -> None:
    rows = ["x,5", *(f"{n},{n}" for n in range(1, 11))]
    for seed in range(20):
        random.Random(seed).shuffle(rows)
        assert found("\n".join(["a,b", *rows, ""]), Wanted()).data == 1


def test_what_is_said_holds() -> None:
    assert found("a;b,c\n1;2,3\n", Wanted(",")).dialect.delimiter == ","
    assert found("7 rows\na,b\n1,2\n", Wanted(skip=2, no_header=True)).data == 2


OTHER_QUOTES = "time,note,temp\n" + "".join(f"{n},'a{', b' * (n % 2)}',{n * 1.5}\n" for n in range(50))


def test_quotes_of_another_kind_are_found_by_the_extra() -> None:
    lines = found(OTHER_QUOTES, Wanted())
    assert (lines.dialect.delimiter, lines.dialect.quote, lines.width) == (",", "'", 3)


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(Unreadable, match=r"--quote.*streamnorm\[files\]"):
        found(OTHER_QUOTES, Wanted())


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n# comments\n"])
def test_a_file_without_rows_is_told(text: str) -> None:
    with pytest.raises(Unreadable, match="no rows"):
        found(text, Wanted())


def test_columns_are_named_each_once(tmp_path: Path) -> None:
    names = looked(written(tmp_path, "time,a,a,,b,\n1,2,3,4,5,\n2,3,4,5,6,\n")).findings.names
    assert names == ("time", "a", "a_2", "column 4", "b", "column 6")


def test_one_name_too_few_is_that_of_the_first_column_where_it_names_rows(tmp_path: Path) -> None:
    findings = looked(written(tmp_path, "temp,hum\n1,20.5,40.1\n2,21.5,41.2\n3,21.7,41.0\n")).findings
    assert (findings.names, findings.roles.features) == (("column 1", "temp", "hum"), ("temp", "hum"))


def test_one_name_too_few_is_that_of_a_last_column_that_is_empty(tmp_path: Path) -> None:
    assert looked(written(tmp_path, "t,temp\n1,20.5,\n2,21.5,\n3,21.7,\n")).findings.roles.features == ("temp",)


def test_one_name_too_few_is_asked_where_no_column_is_it(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="--names"):
        looked(written(tmp_path, "temp,hum\n20.5,1.5,2.5\n20.5,2.5,3.5\n"))


def test_names_that_are_said_are_used(tmp_path: Path) -> None:
    assert looked(written(tmp_path, "20.5,40\n21.5,41\n"), names="temp,hum").findings.roles.features == ("temp", "hum")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"ARROW1\0\0", "it is an Arrow file"),
        (b"\xff\xff\xff\xff\x78\0\0\0", "it is an Arrow stream"),
        (b"\x93NUMPY\x01\0", "it is an array of NumPy"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "it is an old workbook: save it as .xlsx"),
        (b"PK\x03\x04\x14\0", "it is an archive"),
        (b"\x89HDF\r\n", "it is an HDF5 file"),
        (b"SQLite format 3\0", "it is a database"),
        (b"%PDF-1.7\n", "it is a PDF"),
        (b'[\n {"t": 1, "x": 2}]', "it is one JSON array: jq -c"),
    ],
)
def test_a_file_of_another_kind_is_told_with_the_way_out(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(Unreadable, match=told):
        looked(written(tmp_path, data))
