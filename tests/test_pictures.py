"""The page on methods, and the README, show what the methods do today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from matplotlib import pyplot as plt

from streamnorm.engine.configuration.config import CONFIGURATIONS
from streamnorm.kernels import METHODS
from tests.figures import FIGURES
from tests.pictures import DOCS, PAGES, PICTURES, draw, pictures, save, with_table

LARGEST = 100_000  # bytes, so that a page of them loads at once
PAGE = (DOCS / "methods.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_table_of_sensors_is_of_today(page: Path) -> None:
    text = page.read_text()
    assert with_table(text) == text


def test_every_picture_is_shown_and_small() -> None:
    shown = set(re.findall(r"\(pictures/(.*?)\.png\)", PAGE))
    assert shown == {*pictures(), *FIGURES}
    shown |= set(re.findall(r"\(pictures/(curve-.*?)\.png\)", (DOCS / "benchmarks.md").read_text()))  # make bench's
    files = [PICTURES / f"{name}.png" for name in shown]
    assert {file.stem for file in PICTURES.glob("*.png")} - {"dashboard"} == shown  # that one is make screenshots'
    assert max(file.stat().st_size for file in files) < LARGEST


def test_a_picture_is_drawn_alike_again(tmp_path: Path) -> None:
    plt.switch_backend("agg")
    files = [tmp_path / "one.png", tmp_path / "other.png"]
    for file in files:
        save(draw(pictures()["constant"]), file)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("method", METHODS)
def test_the_page_names_every_method_and_its_parameters(method: str) -> None:
    assert re.search(rf"^### .*`{method}`", PAGE, re.MULTILINE)
    assert [name for name in CONFIGURATIONS[method].model_fields if name != "method" and f"`{name}`" not in PAGE] == []
