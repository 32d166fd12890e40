"""Decimal points and commas, told apart by a whole table."""

from __future__ import annotations

import pytest

from streamnorm.backfill.cells.decimals import found
from streamnorm.backfill.unreadable import Unreadable


@pytest.mark.parametrize(
    ("columns", "signs"),
    [
        ([["20.5", "21"], ["x", "y"]], (".", "")),
        ([["20,5", "21"], ["x", "y"]], (",", "")),
        ([["1.234,5"]], (",", ".")),
        ([["1,234.5"]], (".", ",")),
        ([["1.234", "5.678"], ["0,5", "1,25"]], (",", ".")),
        ([["1,234", "5,678"], ["0.5", "1.25"]], (".", ",")),
        ([["20.125", "21.250"]], (".", "")),
        ([["1 234,5", "12 345,0"]], (",", " ")),
        ([["1'234.5"]], (".", "'")),
        ([["1.234.567", "2.345.678"]], (",", ".")),
        ([["10/03/2004"], ["18.00.00"]], (".", "")),
        ([[]], (".", "")),
    ],
)
def test_signs_are_told_by_all_columns(columns: list[list[str]], signs: tuple[str, str]) -> None:
    assert found(columns) == signs


@pytest.mark.parametrize(
    ("columns", "option"), [([["1,234", "5,678"]], "--thousands ,"), ([["1,5", "2,5"], ["1.5", "2.5"]], "--decimal")]
)
def test_what_may_be_both_is_asked(columns: list[list[str]], option: str) -> None:
    with pytest.raises(Unreadable, match=option):
        found(columns)


def test_what_is_said_is_not_asked() -> None:
    assert found([["1,234", "5,678"]], thousands=",") == (".", ",")
    assert found([["1,234", "5,678"]], decimal=",") == (",", "")
