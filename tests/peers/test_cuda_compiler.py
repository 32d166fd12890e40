"""What the simulator accepts the compiler accepts too, and the state of `online` stays in registers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from streamnorm.kernels import METHODS
from tests.support.docs_page import ROOT

PEERS = ROOT / ".venv-peers"
PROGRAMS = Path(__file__).with_name("cuda_programs.py")
BASE = {"online", "cumulative"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile everything once."""
    made = tmp_path_factory.mktemp("ptx")
    command = [str(PEERS / "bin" / "python"), "-W", "error", str(PROGRAMS), str(made)]
    done = subprocess.run(  # noqa: S603 - installed by the Makefile
        command, env={"PYTHONPATH": str(ROOT / "service")}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_every_method_compiles(folder: Path, method: str, kind: str) -> None:
    names = {path.stem.removeprefix(f"{method}-") for path in folder.glob(f"{method}-*-{kind}.ptx")}
    columns = {"columns", "long_columns"}
    assert any(f"{one}-{kind}" in names for one in columns)
    assert {f"wild-{kind}", f"copy-{kind}"} <= names
    assert ({f"stretches-{kind}", f"answered-{kind}"} <= names) == (method in BASE)


@pytest.mark.parametrize("rule", ["", "-timed", "-robust", "-timed-robust"])
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_the_state_of_online_stays_in_registers(folder: Path, rule: str, kind: str) -> None:
    found = folder / f"online{rule}-columns-{kind}.ptx"
    assembler = next(PEERS.glob("lib/python*/site-packages/nvidia/**/bin/ptxas"))
    command = [str(assembler), "-v", "-arch=sm_90", str(found), "-o", str(found.with_suffix(".cubin"))]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr  # noqa: S603 - as above
    assert "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" in told
    registers = re.search(r"Used (\d+) registers", told)
    assert registers is not None
    # nineteen floats of state take 38; with 96 an H100 still has 21 warps per multiprocessor, more than columns use
    assert int(registers[1]) <= 96
