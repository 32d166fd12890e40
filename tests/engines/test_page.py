"""What docs/scaling.md shows of the engine in other engines is so."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.docs_page import check_session

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scaling.md"


def test_the_session_of_the_page() -> None:
    (text,) = re.findall(r"^```python\n(>>> .*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    check_session(text, {})


def test_the_options_that_the_page_names_are_those_of_both_operators() -> None:
    calls = re.findall(r"normalize\(\n?(.*?)\)\n", PAGE.read_text(), re.DOTALL)
    options = {name for call in calls for name in re.findall(r"^\s*(\w+)=", call, re.MULTILINE)}
    assert options >= {"key_by", "values", "ttl"}
    for engine in ("flink", "spark"):
        source = (ROOT / "service" / "streamnorm" / "engines" / f"{engine}.py").read_text()
        assert {name for name in options if f"    {name}: " not in source} == set()
