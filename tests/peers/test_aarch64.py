"""Kernels that this machine builds for 64-bit ARM, run by QEMU, give the bits of this one."""

from __future__ import annotations

import math
import subprocess
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamnorm.kernels import METHODS, MethodKernel
from streamnorm.kernels.cpu.abi import symbol
from streamnorm.kernels.cpu.emit import emit
from streamnorm.kernels.cpu.targets import path_for
from streamnorm.kernels.templates import GROUP, LANES
from tests.support.blocks import Array, Rule, as_block, parameters, places, times_for

TARGET = "aarch64"
SOURCE = Path(__file__).with_name("run_kernel.c")
RULES: list[Rule] = [(0.999, 0.0, 32.0, 0.0), (1.0, 0.0, 4.0, 3.0), (0.5, 0.0, 0.0, 1.5), (0.999, 600.0, 32.0, 3.0)]

Run = Callable[..., bytes]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Build the library and a program that calls it; returns what runs that with arguments and an input."""
    folder = tmp_path_factory.mktemp("aarch64")
    emit(folder, [TARGET])
    program = str(folder / "run_kernel")
    build = ["aarch64-linux-gnu-gcc", "-O1", "-Wall", "-Werror", "-o", program, str(SOURCE), "-ldl", "-lm"]
    subprocess.run(build, check=True)  # noqa: S603 - our own program
    emulated = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", program]

    def called(*arguments: str, given: bytes) -> bytes:
        told = [str(path_for(TARGET, folder)) if argument == "library" else argument for argument in arguments]
        return subprocess.run([*emulated, *told], input=given, capture_output=True, check=True).stdout  # noqa: S603

    return called


def readings(columns: int, kind: str) -> Array:
    """Return noise, constants, two levels and missing values."""
    chance = np.random.default_rng(columns)
    values = chance.normal(20.0, 3.0, size=(1500, columns))
    values[100:200] = 20.0
    values[300:600] = chance.integers(0, 2, size=(300, columns))
    values[chance.random(values.shape) < 0.01] = math.nan
    return values.astype(kind)


def emulated(run: Run, method: str, values: Array, rule: Rule, name: str) -> tuple[bytes, bytes]:
    """Return the bits of y and of the state after a block, of the entry of a name."""
    rows, columns = values.shape
    starts, ends = places(method, columns, rule)
    p, size = parameters(method), ends[0] * LANES if name.startswith("lanes") else ends[-1]
    parts = (
        array("q", [rows, columns, 0, columns, len(p), size]),
        array("d", [*rule, *p]),
        times_for(rows, 0),
        values,
        array("q", starts),
        array("q", ends),
    )
    out = run("library", symbol(method, name), given=b"".join(part.tobytes() for part in parts))
    return out[: values.nbytes], out[values.nbytes :]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_block_has_the_bits_of_this_machine(run: Run, method: str, rule: Rule) -> None:
    values = readings(2, "f8")
    expected = as_block(MethodKernel(METHODS[method]), values, times_for(len(values), 0), rule)
    assert emulated(run, method, values, rule, "rows") == expected


@pytest.mark.parametrize("method", sorted(name for name, method in METHODS.items() if method.counts))
def test_columns_side_by_side_have_the_bits_of_this_machine(run: Run, method: str) -> None:
    values, p = readings(2 * GROUP, "f8"), parameters(method)
    ys, state = as_block(MethodKernel(METHODS[method]), values, times_for(len(values), 0), RULES[0])
    got, by_value = emulated(run, method, values, RULES[0], f"lanes_{int(p[0]) if p else 0}")
    assert got == ys
    assert np.frombuffer(by_value).reshape(-1, LANES)[:, : values.shape[1]].T.tobytes() == state


def test_the_exponential_of_its_c_library_differs_by_a_last_bit_at_most(run: Run) -> None:
    xs = -np.random.default_rng(0).exponential(size=100_000)
    there = np.frombuffer(run("exp", given=xs.tobytes()))
    here = np.array(list(map(math.exp, xs)))
    assert (np.abs(there - here) <= np.spacing(here)).all()
