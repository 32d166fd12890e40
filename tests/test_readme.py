"""What the README and the docs say is so; `python -m tests.support.readme` puts today's outputs into the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.processes import Service
from tests.support.readme import CLIENT, README, SETTINGS, with_demo, with_examples, with_table, with_tables

ROOT = README.parent
PAGES = [
    README,
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "CHANGELOG.md",
    CLIENT,
]
TEXT = README.read_text()


def test_the_tables_of_settings_are_those_of_the_settings() -> None:
    assert with_tables(SETTINGS.read_text()) == SETTINGS.read_text()
    assert with_table(TEXT) == TEXT


def test_the_demo_shows_what_the_readme_shows() -> None:
    assert with_demo(TEXT) == TEXT


@pytest.mark.parametrize("page", [README, CLIENT], ids=["the service's", "the client's"])
def test_the_examples_are_answered_as_the_readme_says(tmp_path: Path, page: Path) -> None:
    with Service(tmp_path) as service:
        assert with_examples(page.read_text(), service) == page.read_text()


def test_the_readme_is_short() -> None:
    assert len(TEXT.splitlines()) < 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
