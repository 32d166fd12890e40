"""The comparison with pandas sees what differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.backfill import compare
from tests.backfill.recorded import written

TEXT = "Zeit;x;note\n" + "".join(f"2026-01-01 00:00:{n:02};{n % 7},{n % 5};ok\n" for n in range(50)) + ";;\n"


def test_a_recording_is_the_same_by_pandas(tmp_path: Path) -> None:
    assert list(compare.compared(written(tmp_path, TEXT))) == []


def test_what_differs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anew, pandas = compare.parsed_anew, compare.by_pandas
    monkeypatch.setattr(compare, "parsed_anew", lambda found: {name: x + 1e-9 for name, x in anew(found).items()})
    monkeypatch.setattr(compare, "by_pandas", lambda values: pandas(values) + np.where(np.arange(50) == 40, 2e-8, 0))
    assert [told.rpartition(": ")[0] for told in compare.compared(written(tmp_path, TEXT))] == ["x", "in x"]


def test_a_refusal_is_told(tmp_path: Path) -> None:
    (told,) = compare.compared(written(tmp_path, "note\nwarm\n"))
    assert told.startswith("refused: the lines are no table")
