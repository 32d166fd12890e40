"""Ids made of names from elsewhere: legal, reversible, and never the same for two names."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.engine.limits import LARGEST_NAME
from streamnorm.engine.names import stream_id_fault
from streamnorm.formats.ids import escaped, shortened, stream_id_of, unescaped

NAMES = st.text(st.characters() | st.sampled_from("~/,=01uh;\u0338\u0301\ufffd\u200d\x1b\n"), min_size=1, max_size=40)


@given(NAMES)
def test_a_name_is_made_of_its_part_of_an_id_again(name: str) -> None:
    assert unescaped(escaped(name, ",=")) == unicodedata.normalize("NFC", name)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_parts_are_told_apart_by_what_is_escaped_in_them(names: list[str]) -> None:
    parts = ",".join(escaped(name, ",") for name in names).split(",")
    assert [unescaped(part) for part in parts] == [unicodedata.normalize("NFC", name) for name in names]


@given(NAMES | st.text(min_size=100, max_size=600))
def test_every_name_becomes_an_id(name: str) -> None:
    assert stream_id_fault(stream_id_of(name)) is None


def test_names_that_are_too_long_end_in_a_hash_that_tells_them_apart() -> None:
    ids = [stream_id_of("x" * length) for length in (LARGEST_NAME, LARGEST_NAME + 1, 500)]
    assert ids[0] == "x" * LARGEST_NAME
    assert len({*ids}) == 3
    assert [len(each) for each in ids] == [LARGEST_NAME] * 3
    assert ids[1].startswith("xxx")


def test_an_escape_is_not_cut_in_two() -> None:
    for length in range(100, 115):
        assert "~~" not in stream_id_of("x" * length + "\u200d" * 10)


def test_an_empty_name_is_none() -> None:
    with pytest.raises(ValueError, match="empty"):
        shortened("")


@given(st.text("AZaz09._:-", min_size=1, max_size=LARGEST_NAME))
def test_what_was_an_id_before_other_letters_were_stays_what_it_is(name: str) -> None:
    assert stream_id_of(name) == name
