"""JSON that is parsed a slice at a time is what it is when parsed at once, or is refused in the same words."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.api.codecs.json.slices import loads_sliced
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.formats import lenient_json

texts = st.sampled_from(["a", "[nan,", "},{", "],[", '"', "\\", "é", 'a\\"b', "\n", "[", "]", ""])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.floats(-1e9, 1e9) | st.just(math.nan) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
documents = st.lists(values, max_size=12) | st.dictionaries(texts, st.lists(values, max_size=8) | values, max_size=4)
written = st.builds(
    lambda document, indent, raw: json.dumps(document, indent=indent, ensure_ascii=raw).encode(),
    documents,
    st.none() | st.just(1),
    st.booleans(),
)
sizes = st.sampled_from([4, 16, 40])


def whole(data: bytes) -> Any:
    """Parse at once; NaN is written out, which is not equal to itself."""
    try:
        return str(lenient_json.loads(data))
    except orjson.JSONDecodeError as error:
        return f"the body is not JSON: {error.msg}: line {error.lineno}, column {error.colno}"


def sliced(data: bytes, size: int) -> Any:
    """Parse a slice at a time, and put the pieces together."""
    try:
        document = loads_sliced(data, 10**6, size)

        def find(value: Any) -> Any:
            return [x for some in document.elements(value) or () for x in some] if document.is_large(value) else value

        outline = document.outline
        is_object = isinstance(outline, dict)
        found = {name: find(value) for name, value in outline.items()} if is_object else find(outline)
        document.finish()
    except HTTPProblem as error:
        return str(error)
    return str(found)


@given(written, sizes)
def test_slices_put_together_are_the_document(data: bytes, size: int) -> None:
    assert sliced(data, size) == whole(data)


@given(written, sizes, st.integers(0, 400), st.sampled_from([b"", *(bytes([c]) for c in b'[]{},":\\1 \n\xff')]))
def test_what_is_damaged_is_refused_in_the_same_words(data: bytes, size: int, place: int, letter: bytes) -> None:
    damaged = data[:place] + letter + data[place + (place % 2) :]
    assert sliced(damaged, size) == whole(damaged)


@given(written, sizes, st.integers(0, 400))
def test_what_is_cut_short_is_refused_in_the_same_words(data: bytes, size: int, end: int) -> None:
    assert sliced(data[:end], size) == whole(data[:end])


@pytest.mark.parametrize(
    "text", ["[,1,2,3]", "[1,2,3,]", "[1,,2,3]", '{[1,2,3]: 1, "a": 1}', '{"a": [1,2,3}', "[[1]]]]]"]
)
def test_what_only_the_place_of_a_cut_could_hide_is_refused(text: str) -> None:
    assert sliced(text.encode(), 2) == whole(text.encode())


def test_of_an_array_that_is_named_twice_the_last_one_counts() -> None:
    assert sliced(b'{"a": [1, 2, 3, 4], "a": [5, 6, 7, 8]}', 4) == "{'a': [5, 6, 7, 8]}"


def test_a_mark_of_the_byte_order_is_no_part_of_a_large_document() -> None:
    assert sliced(b"\xef\xbb\xbf[1, 2, 3, 4]", 4) == "[1, 2, 3, 4]"
