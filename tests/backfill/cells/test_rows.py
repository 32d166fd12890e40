"""Lines cut into cells: nothing is lost between reading and writing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.backfill.cells.rows import BLANKS, Cells, Dialect, cut, joined, row_cells, unquoted

CELL = st.text(st.sampled_from("ab1. -°\x85\xa0"), max_size=4) | st.sampled_from(
    ['"a,b"', '"say ""x"""', '"two\nlines"', ""]
)
ENDS = st.sampled_from(["\n", "\r\n"])


@given(st.lists(st.lists(CELL, min_size=1, max_size=5), max_size=8), ENDS, st.booleans(), st.sampled_from(",;\t"))
def test_rows_that_are_cut_and_joined_are_the_rows_that_were_read(
    rows: list[list[str]],
    end: str,
    closed: bool,  # noqa: FBT001 - drawn
    delimiter: str,
) -> None:
    text = end.join(delimiter.join(row) for row in rows) + (end if closed and rows else "")
    dialect = Dialect(delimiter)
    cells = cut(text, dialect, 3, 1)
    assert joined(cells, cells.columns, dialect) == text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_that_are_alike_are_cut_as_rows_one_by_one(end: str) -> None:
    text = "".join(f"{n},x{n},{n / 4}{end}" for n in range(50))
    at_once, quoted = cut(text, Dialect(), 3, 5), cut(text + f'"50",x50,12.5{end}', Dialect(), 3, 5)
    assert [
        [*column, last] for column, last in zip(at_once.columns, ('"50"', "x50", "12.5"), strict=True)
    ] == quoted.columns
    assert [*at_once.lines, 55] == list(quoted.lines)


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3\n4,5,6\n7,8\n",
        "1,2\n\n3,4\n",
        "1,2\n,\n3,4\n",
        "1,2\r\n3,4\n",
        "1,2\n3,4",
        "# no row\n1,2\n# nor this\n3,4\n",
    ],
)
def test_what_is_no_row_stays_where_it_was(text: str) -> None:
    dialect = Dialect(comment="#")
    cells = cut(text, dialect, 2, 1)
    assert joined(cells, cells.columns, dialect) == text


def test_lines_are_numbered_as_in_the_file() -> None:
    cells = cut('1,"a\nb"\n\n# c\n2,d\na,b\n3,e\n', Dialect(comment="#"), 2, 10, header="a,b")
    assert (cells.columns[0], list(cells.lines)) == (["1", "2", "3"], [10, 14, 16])


def test_rows_of_another_number_of_cells_are_told() -> None:
    cells = cut("1,2\n3\n4,5,6\n", Dialect(), 2, 1)
    assert (cells.odd, cells.columns) == ({1: 1, 2: 3}, [["1", "3", "4"], ["2", "", "5"]])


def test_rows_can_be_left_out() -> None:
    cells = cut("1,2\n3,4\n", Dialect(), 2, 1)
    assert joined(cells, cells.columns, Dialect(), [False, True]) == "3,4\n"


def test_cells_between_blanks_keep_their_blanks() -> None:
    dialect = Dialect(BLANKS)
    text = "  1   20.5  x\n 10  21.25  y\n"
    cells = cut(text, dialect, 3, 1)
    assert ([cell.strip() for cell in cells.columns[1]], joined(cells, cells.columns, dialect)) == (
        ["20.5", "21.25"],
        text,
    )


def test_nothing_is_no_rows() -> None:
    assert cut("", Dialect(), 2, 1) == Cells([[], []], [], [])


def test_quotes_protect_delimiters_and_are_taken_off_for_names() -> None:
    assert [unquoted(cell) for cell in row_cells('a, b,"Temp, ""C"""', Dialect())] == ["a", "b", 'Temp, "C"']
