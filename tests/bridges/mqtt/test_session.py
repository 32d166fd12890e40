"""What is remembered of the session at the broker survives restarts, and a folder that cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamnorm.bridges.mqtt.session import Session


def loaded(folder: Path) -> Session:
    """Load a session."""
    session = Session(folder)
    session.load()
    return session


def test_the_client_id_and_the_filters_are_kept(tmp_path: Path) -> None:
    first = loaded(tmp_path)
    first.keep("x", ["a/+", "b/+"])
    again = loaded(tmp_path)
    assert (again.client_id, again.outdated("x", ["b/+", "c/+"])) == (first.client_id, ["a/+"])
    assert again.outdated("y", []) == []
    assert loaded(tmp_path / "other").client_id != first.client_id


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"client_id": "x", "filters": []}', b"\xff"])
def test_a_damaged_file_is_told_and_replaced(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "mqtt.json").write_bytes(content)
    session = loaded(tmp_path)
    assert "cannot be read" in caplog.text
    assert loaded(tmp_path).client_id == session.client_id


def test_where_nothing_can_be_written_the_name_is_the_same_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mqtt.json.new").mkdir()
    assert loaded(tmp_path).client_id == loaded(tmp_path).client_id
    assert "cannot be written" in caplog.text
