"""What the wheel brings for the pages, so that they ask nobody for anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamnorm.kernels.cpu.targets import fitting_targets, path_for

WEB = Path(__file__).parents[2] / "web"


@pytest.mark.parametrize(
    "name",
    [
        "uPlot.iife.min.js",
        "uPlot.min.css",
        "uPlot.LICENSE.txt",
        "swagger-ui-bundle.js",
        "swagger-ui.css",
        "swagger-ui.LICENSE.txt",
        "swagger-ui.NOTICE.txt",
    ],
)
def test_the_wheel_has_what_the_pages_use_with_its_licence(installed: Path, name: str) -> None:
    assert (installed / "streamnorm" / "pages" / "vendor" / name).stat().st_size > 0


def test_the_wheel_has_the_kernels_for_this_machine(installed: Path) -> None:
    libraries = installed / "streamnorm" / "kernels" / "libraries"
    assert {path_for(target, libraries) for target in fitting_targets()} <= set(libraries.iterdir())


def test_the_lock_file_pins_hashes_and_names_no_host() -> None:
    packages = json.loads((WEB / "package-lock.json").read_text())["packages"]
    pinned = [package for path, package in packages.items() if path]
    assert {package["integrity"].partition("-")[0] for package in pinned} == {"sha512"}
    assert [package for package in pinned if "resolved" in package] == []
