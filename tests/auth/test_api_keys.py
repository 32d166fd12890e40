"""Keys at rest: hashed, and changed by one process while another uses them."""

from __future__ import annotations

import hmac
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest

from streamnorm.auth import api_keys
from streamnorm.auth.api_keys import ApiKey, SQLiteApiKeys
from streamnorm.errors import StoreError


def id_of(token: str) -> str:
    return token.split("_")[1]


def test_a_key_is_found_by_what_was_given_once(tmp_path: Path) -> None:
    token = SQLiteApiKeys(tmp_path).create("gauge", ["read", "observe"], "boiler-")
    found = SQLiteApiKeys(tmp_path).find(token)
    assert found is not None
    assert (found.name, sorted(found.scopes), found.prefix) == ("gauge", ["observe", "read"], "boiler-")


def test_the_secret_is_nowhere_on_disk(tmp_path: Path) -> None:
    secret = SQLiteApiKeys(tmp_path).create("gauge", ["read"]).partition("_")[2].partition("_")[2]
    assert len(secret) == 43
    assert all(secret.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    SQLiteApiKeys(tmp_path).create("gauge", ["read"])
    assert stat.S_IMODE((tmp_path / "keys.db").stat().st_mode) == 0o600


def test_no_two_keys_are_the_same(tmp_path: Path) -> None:
    store = SQLiteApiKeys(tmp_path)
    assert len({store.create("gauge", ["read"]) for _ in range(20)}) == 20


def test_a_key_that_is_off_by_a_character_is_no_key(tmp_path: Path) -> None:
    store = SQLiteApiKeys(tmp_path)
    token = store.create("gauge", ["read"])
    wrong = [token[:-1], token + "A", token[:-1] + "~", token.upper(), token[3:], "", "\udcff"]
    assert [store.find(shown) for shown in wrong] == [None] * len(wrong)


def test_a_secret_is_only_good_with_its_own_id(tmp_path: Path) -> None:
    store = SQLiteApiKeys(tmp_path)
    one, other = store.create("one", ["read"]), store.create("other", ["admin"])
    assert store.find(f"sn_{id_of(other)}_{one.split('_', 2)[2]}") is None


def test_secrets_are_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", compare)
    store = SQLiteApiKeys(tmp_path)
    token = store.create("gauge", ["read"])
    for shown in (token, token[:-1], "sn_00000000_unknown", ""):
        store.find(shown)
    assert compared == [(32, 32)] * 4


def test_a_revoked_key_is_no_key_but_stays_in_the_list(tmp_path: Path) -> None:
    store = SQLiteApiKeys(tmp_path)
    token = store.create("gauge", ["read"])
    assert store.revoke(id_of(token))
    assert store.find(token) is None
    assert [(key.name, key.revoked is not None) for key in store.all()] == [("gauge", True)]
    assert store.any()


def test_revoking_twice_or_what_is_not_there_is_told(tmp_path: Path) -> None:
    store = SQLiteApiKeys(tmp_path)
    assert not store.revoke("00000000")
    key_id = id_of(store.create("gauge", ["read"]))
    assert [store.revoke(key_id), store.revoke(key_id), store.revoke("00000000")] == [True, False, False]


def test_a_key_that_another_process_makes_is_known_at_once(tmp_path: Path) -> None:
    service, shell = SQLiteApiKeys(tmp_path), SQLiteApiKeys(tmp_path)
    first = shell.create("first", ["read"])
    assert service.find(first) is not None
    assert service.find(shell.create("second", ["read"])) is not None


def test_a_key_that_another_process_revokes_is_refused_after_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    service, shell = SQLiteApiKeys(tmp_path), SQLiteApiKeys(tmp_path)
    token = shell.create("gauge", ["read"])
    assert service.find(token) is not None
    shell.revoke(id_of(token))
    now += api_keys.RELOAD_INTERVAL
    assert service.find(token) is None


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    assert not SQLiteApiKeys(tmp_path).any()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / "keys.db").write_bytes(b"garbage " * 1000)
    with pytest.raises(StoreError, match=r"keys\.db"):
        SQLiteApiKeys(tmp_path).find("sn_00000000_unknown")


@pytest.mark.parametrize("left", [b"", b"garbage " * 1000, None])
def test_a_file_that_is_emptied_damaged_or_gone_meanwhile_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: bytes | None
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    service = SQLiteApiKeys(tmp_path)
    token = service.create("sensor", ["observe"])
    assert service.find(token) is not None
    whole = (tmp_path / "keys.db").read_bytes()
    if left is None:
        (tmp_path / "keys.db").unlink()
    else:
        (tmp_path / "keys.db").write_bytes(left)
    for _ in range(3):
        now += api_keys.RELOAD_INTERVAL / 2
        if now >= 100 + api_keys.RELOAD_INTERVAL:
            for ask in (service.any, service.all, lambda: service.known, lambda: service.find(token)):
                with pytest.raises(StoreError, match=r"keys\.db") as refused:
                    ask()
                assert str(tmp_path) not in refused.value.public
    (tmp_path / "keys.db").write_bytes(whole)
    now += api_keys.RELOAD_INTERVAL
    assert service.find(token) is not None


def test_an_empty_file_is_not_one_without_keys(tmp_path: Path) -> None:
    (tmp_path / "keys.db").touch()
    with pytest.raises(StoreError, match="is empty"):
        SQLiteApiKeys(tmp_path).any()
    assert (tmp_path / "keys.db").read_bytes() == b""


def test_a_file_that_was_put_in_its_place_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    service = SQLiteApiKeys(tmp_path / "here")
    old = service.create("old", ["observe"])
    assert service.find(old) is not None
    new = SQLiteApiKeys(tmp_path / "there").create("new", ["observe"])
    (tmp_path / "there" / "keys.db").replace(tmp_path / "here" / "keys.db")
    now += api_keys.RELOAD_INTERVAL
    assert (service.find(old), service.find(new) is not None) == (None, True)


def test_only_the_file_itself_is_left_of_making_it(tmp_path: Path) -> None:
    SQLiteApiKeys(tmp_path).create("sensor", ["observe"])
    assert [file.name for file in tmp_path.iterdir()] == ["keys.db"]


def test_that_keys_cannot_be_read_is_logged_once_and_its_end_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    (tmp_path / "keys.db").touch()
    service = SQLiteApiKeys(tmp_path)
    for _ in range(5):
        with pytest.raises(StoreError):
            service.any()
        now += api_keys.RELOAD_INTERVAL
    (tmp_path / "keys.db").unlink()
    service.create("sensor", ["observe"])
    assert service.any()
    told = (
        f"all calls are rejected, the API keys cannot be read: {tmp_path}/keys.db is empty: put a backup in its place"
    )
    assert caplog.messages == [told, "the API keys can be read again"]


def test_a_newer_versions_file_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "keys.db")) as theirs:
        theirs.execute("PRAGMA user_version = 1000")
    with pytest.raises(StoreError, match="written by a newer streamnorm"):
        SQLiteApiKeys(tmp_path).any()


def test_admin_may_do_everything() -> None:
    assert ApiKey("", "", frozenset({"admin"})).may(["read"])
    assert not ApiKey("", "", frozenset({"read"})).may(["observe", "admin"])
