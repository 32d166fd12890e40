"""The examples in docstrings give what they show.

They have a file of their own, rather than pytest's option, for whose sake every process of the tests would import every
module and all that it needs.
"""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

PROMPT = ">>> "
ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT / "service", ROOT / "clients" / "python")


def modules(folder: Path) -> list[str]:
    """Name the modules below a folder that have examples."""
    files = [path.relative_to(folder) for path in sorted(folder.rglob("*.py")) if PROMPT in path.read_text()]
    return [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files]


@pytest.mark.parametrize("name", [name for folder in FOLDERS for name in modules(folder)])
def test_examples_give_what_they_show(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name), report=False)
    assert found.attempted > found.failed == 0
