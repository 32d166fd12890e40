"""What the engine's tests share."""

from __future__ import annotations

import pytest

from streamnorm.engine.blocks import coalesce


@pytest.fixture(autouse=True)
def _short_runs_are_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs of a few readings observed as tables, which give the same bits: then one test has both."""
    monkeypatch.setattr(coalesce, "SHORTEST_RUN", 4)
