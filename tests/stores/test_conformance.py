"""What every store promises the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamnorm.engine.ports.blob_store import BlobStore
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.sqlite import SQLiteStore

STORES: dict[str, Callable[[Path], BlobStore]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": lambda folder: SQLiteStore(folder, synchronous="normal"),
}

ids = st.text("AZaz09._:~- é客\U0001f3e0", min_size=1, max_size=4)
blobs = st.binary(max_size=64)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobStore]:
    with closing(STORES[request.param](tmp_path)) as store:
        yield store


def test_a_blob_comes_back_as_it_was_saved(store: BlobStore) -> None:
    blob = bytes(range(256)) * 40
    store.save({"boiler-7": blob})
    assert store.load("boiler-7") == blob


def test_an_empty_blob_is_not_a_missing_one(store: BlobStore) -> None:
    store.save({"boiler-7": b""})
    assert store.load("boiler-7") == b""


def test_an_unknown_id_loads_as_none(store: BlobStore) -> None:
    assert store.load("boiler-7") is None


def test_a_second_save_replaces_the_blob(store: BlobStore) -> None:
    store.save({"boiler-7": b"one"})
    store.save({"boiler-7": b"two"})
    assert store.load("boiler-7") == b"two"


def test_none_deletes(store: BlobStore) -> None:
    store.save({"boiler-7": b"one"})
    store.save({"boiler-7": None})
    assert store.load("boiler-7") is None


def test_deleting_an_unknown_id_does_nothing(store: BlobStore) -> None:
    store.save({"boiler-7": None})
    assert store.count() == 0


def test_saving_nothing_does_nothing(store: BlobStore) -> None:
    store.save({})
    assert store.count() == 0


def test_count_counts_what_is_kept(store: BlobStore) -> None:
    store.save({"a": b"", "b": b"", "c": b""})
    store.save({"b": None, "c": b"again"})
    assert store.count() == 2


def test_ids_are_told_apart_by_case(store: BlobStore) -> None:
    store.save({"Door": b"upper", "door": b"lower"})
    assert store.load("Door") == b"upper"


def test_pages_come_in_byte_order(store: BlobStore) -> None:
    in_order = ["-", ".", "0", "9", ":", "A", "Z", "_", "a", "a-", "aa", "z", "~"]
    store.save(dict.fromkeys(reversed(in_order), b""))
    assert store.page("", after="", limit=100) == in_order


def test_a_page_holds_no_more_than_its_limit(store: BlobStore) -> None:
    store.save(dict.fromkeys("abc", b""))
    assert store.page("", after="", limit=2) == ["a", "b"]


def test_a_prefix_matches_itself_and_the_last_character(store: BlobStore) -> None:
    store.save(dict.fromkeys(["b", "boiler", "boiler~~", "boiler客", "boiler🏠", "boiles"], b""))
    assert store.page("boiler", after="", limit=10) == ["boiler", "boiler~~", "boiler客", "boiler🏠"]


def test_a_prefix_is_no_pattern(store: BlobStore) -> None:
    store.save(dict.fromkeys(["a_c", "abc", "A_c"], b""))
    assert store.page("a_", after="", limit=10) == ["a_c"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)
@given(kept=st.dictionaries(ids, blobs), prefix=st.one_of(st.just(""), ids), after=st.one_of(st.just(""), ids))
def test_a_page_is_what_a_plain_search_finds(store: BlobStore, kept: dict[str, bytes], prefix: str, after: str) -> None:
    store.save(dict.fromkeys(store.page("", after="", limit=1000)))
    store.save(kept)
    assert store.page(prefix, after, 3) == sorted(key for key in kept if key.startswith(prefix) and key > after)[:3]


def test_a_healthy_store_passes_its_check_and_keeps_its_blobs(store: BlobStore) -> None:
    store.save({"boiler-7": b"one"})
    store.check()
    assert store.load("boiler-7") == b"one"


def test_closing_twice_does_nothing(store: BlobStore) -> None:
    store.close()
    store.close()
