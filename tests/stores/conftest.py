"""What the stores' tests share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamnorm.stores.local import group_commit
from tests.support.gated_store import GatedStore

NOBODY = 65534


@pytest.fixture
def sealed() -> Iterator[Path]:
    """Yield a folder that may be read but not written, to root neither: root is nobody meanwhile."""
    # Not tmp_path: only its owner may enter that.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(NOBODY)
        yield folder
        os.seteuid(user)
        folder.chmod(0o755)


@pytest.fixture
def store() -> GatedStore:
    """Build a store."""
    return GatedStore()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `everysec` flush every few milliseconds, so that no test waits a second."""
    monkeypatch.setattr(group_commit, "FLUSH_INTERVAL", 0.005)
