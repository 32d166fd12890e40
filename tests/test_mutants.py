"""The mutation tool: what it changes, what it runs, and what it counts."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import mutants

SOURCE = '''"""A module, in 2 lines."""
from __future__ import annotations

LIMIT: Literal[3] = 7


def within(x: float, y: float = 0.5) -> bool:
    """Return whether x is within 1."""
    if not x < LIMIT or x is y:
        raise ValueError(f"ü {x + 1}")
    return pow(x, y) * 2 == 4
'''
TESTED = """
import subprocess
import sys
from streamnorm.engine.small import half

def test_half():
    assert half(4) == 2

def test_half_elsewhere():
    code = "from streamnorm.engine.small import third; assert third(9) == 3"
    subprocess.run([sys.executable, "-c", code], check=True)
"""
SMALL = "def half(x):\n    return x / 2\n\n\ndef third(x):\n    return x / 3\n\n\ndef unseen(x):\n    return x + 1\n"


def changed_lines(source: str) -> set[str]:
    """Return what stands in the line that each mutant changes."""
    lines = source.splitlines()
    found = set()
    for mutant in mutants.mutants(Path("x.py"), source):
        (line,) = [new for old, new in zip(lines, mutant.changed.splitlines(), strict=True) if old != new]
        found.add(line.strip())
    return found


def test_every_kind_of_place_is_changed_and_nothing_that_only_documents() -> None:
    assert changed_lines(SOURCE) == {
        "LIMIT: Literal[3] = 14",
        "def within(x: float, y: float = 1.5) -> bool:",
        "if (not x < LIMIT and x is y):",
        "if (x < LIMIT) or x is y:",
        "if not (x <= LIMIT) or x is y:",
        "if not x < LIMIT or (x is not y):",
        "pass",
        "return (pow(x, y) * 2 != 4)",
        "return (pow(x, y) / 2) == 4",
        "return (pow(y, x)) * 2 == 4",
        "return pow(x, y) * 4 == 4",
        "return pow(x, y) * 2 == 8",
    }


@pytest.mark.parametrize("room", mutants.ROOMS)
def test_every_mutant_of_a_room_is_another_program(room: str) -> None:
    root = Path(__file__).parents[1]
    chosen = mutants.chosen(root, room, 50, 7)
    assert chosen == mutants.chosen(root, room, 50, 7)
    assert len(chosen) == 50
    assert chosen != mutants.chosen(root, room, 50, 8)
    for mutant in chosen:
        assert ast.dump(ast.parse(mutant.changed)) != ast.dump(ast.parse(mutant.source)), mutant.diff()
        assert mutant.diff().count("\n@@") == 1


def test_tests_that_are_elsewhere_are_of_what_there_is() -> None:
    root = Path(__file__).parents[1]
    for part, folder in mutants.ELSEWHERE.items():
        assert (root / mutants.PACKAGE / part).exists()
        assert list((root / folder).rglob("test_*.py"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Build a project of one module and its tests, one of which imports it in a process of its own."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take longer to load than these tests
    for folder in ("service/streamnorm/engine", "tests/engine"):
        (tmp_path / folder).mkdir(parents=True)
    for package in ("service/streamnorm", "service/streamnorm/engine"):
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "service/streamnorm/engine/small.py").write_text(SMALL)
    (tmp_path / "tests/engine/test_small.py").write_text(TESTED)
    return tmp_path


def test_a_run_tells_how_long_each_file_took(project: Path) -> None:
    (project / "tests/engine/test_slow.py").write_text("import time\ndef test_slow():\n    time.sleep(0.05)\n")
    outcome = mutants.run_tests(project, ["tests/engine"], 600.0)
    assert outcome.what == "survived"
    assert 0.05 <= outcome.by_file["tests/engine/test_slow.py"] <= outcome.seconds


def test_what_no_test_notices_is_told_and_lowers_the_share(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    share = mutants.measure(project, "engine", number=100, seed=1, limit=600.0)
    told = capsys.readouterr().out
    # half: / and 2; third, which runs in another process: / and 3; unseen: + and 1
    assert told.splitlines()[-1] == "engine: 6 mutants, 2 survived, 0 timeouts: 67 % killed"
    assert share == pytest.approx(200 / 3)
    assert "-    return x + 1\n+    return (x - 1)" in told
    assert (project / "service/streamnorm/engine/small.py").read_text() == SMALL


def test_tests_that_fail_as_it_is_are_no_measure(project: Path) -> None:
    (project / "tests/engine/test_small.py").write_text("def test_wrong():\n    assert False\n")
    with pytest.raises(SystemExit, match="fail without any mutation"):
        mutants.measure(project, "engine", number=1, seed=1, limit=600.0)


def test_the_tests_likeliest_to_notice_come_first(project: Path) -> None:
    for name in ("test_a.py", "test_b.py", "test_c.py"):
        (project / "tests/engine" / name).write_text("from streamnorm.engine.small import half" * (name == "test_b.py"))
    seconds = {"tests/engine/test_small.py": 9.0, "tests/engine/test_b.py": 3.0, "tests/engine/test_a.py": 2.0}
    found = mutants.tests_of(project, Path("service/streamnorm/engine/small.py"), seconds)
    assert found == [f"tests/engine/{name}.py" for name in ("test_small", "test_b", "test_c", "test_a")]


def test_a_part_whose_tests_are_elsewhere_is_run_against_them_first(project: Path) -> None:
    for name in ("tests/replicas/test_a.py", "tests/stores/test_b.py"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    parts = [Path(f"service/streamnorm/stores/{part}/x.py") for part in ("redis", "local")]
    found = [mutants.tests_of(project, part, {}) for part in parts]
    assert found == [["tests/replicas/test_a.py", "tests/stores/test_b.py"], ["tests/stores/test_b.py"]]
