"""Imports point down, as the contracts in pyproject.toml say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: In a process of its own, for it switches off all loggers that there are.
LINT = Path(sys.executable).with_name("lint-imports")


def test_every_import_keeps_to_the_contracts() -> None:
    command = [str(LINT), "--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - a tool of ours
    assert done.returncode == 0, done.stdout
