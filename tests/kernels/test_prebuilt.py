"""Libraries that a build made, Numba and the interpreter give the same bits, and the best library is found."""

from __future__ import annotations

import functools
import math
import platform
import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnorm import kernels
from streamnorm.kernels import METHODS, Method, MethodKernel, base_statistics, kernel_for, needs_compiler
from streamnorm.kernels.cpu import loops, prebuilt, targets
from streamnorm.kernels.cpu.loops import LEAST_IN_LANES, Loops, RowConstants, row_call
from streamnorm.kernels.cpu.numba_loops import compiled
from streamnorm.kernels.methods.adaptive import ADAPTIVE
from streamnorm.kernels.methods.adaptive_bank import AdaptiveParameters
from tests.support.blocks import Array, Rule, as_block, blocks, number, parameters, places, rules, seeds, times_for

#: of each way to compile: the one in this process, and every library that this machine can run
WAYS: dict[str, Callable[[Method], Loops]] = {
    "numba": compiled,
    **{target: functools.partial(prebuilt.load, path=targets.path_for(target)) for target in targets.fitting_targets()},
}
interpreted = functools.cache(lambda name: MethodKernel(METHODS[name]))
by = functools.cache(lambda way, name: MethodKernel(METHODS[name], WAYS[way]))
#: those that are compared with one and the same answer of the interpreter, which takes the longest
every_way = pytest.mark.parametrize(
    "ways",
    [
        pytest.param([way for way in sorted(WAYS) if way != "numba"], id="libraries"),
        pytest.param(["numba"], id="numba", marks=pytest.mark.jit),
    ],
)
all_methods = pytest.mark.parametrize("method", sorted(METHODS))
LINES = "processor : 0\nflags : {}\n"


@every_way
@all_methods
@settings(max_examples=40)
@given(values=blocks, rule=rules, seed=seeds)
def test_all_ways_give_the_interpreters_bits(
    *, ways: list[str], method: str, values: Array, rule: Rule, seed: int
) -> None:
    times = times_for(len(values), seed)
    expected = as_block(interpreted(method), values, times, rule)
    for way in ways:
        assert as_block(by(way, method), values, times, rule) == expected, way


@every_way
@all_methods
@pytest.mark.parametrize("kind", ["f8", "f4"])
@settings(max_examples=20)
@given(numbers=st.lists(number, min_size=1, max_size=60), columns=st.integers(1, 70), decay=st.sampled_from([0.5, 1.0]))
def test_all_ways_give_the_interpreters_bits_of_wide_blocks(
    *, ways: list[str], method: str, kind: str, numbers: list[float], columns: int, decay: float
) -> None:
    rows = math.ceil(LEAST_IN_LANES / columns)
    with np.errstate(over="ignore"):  # what is too large for float32 is refused before it comes here
        values = np.clip(np.resize(numbers, (rows, columns)).astype(kind), -1e30, 1e30)
    times, rule = times_for(rows, 0), (decay, 0.0, 4.0, 0.0)
    expected = as_block(interpreted(method), values, times, rule)
    for way in ways:
        assert as_block(by(way, method), values, times, rule) == expected, way
        assert as_block(by(way, method), values, times, rule, in_place=True) == expected, way


@every_way
@all_methods
@pytest.mark.parametrize("decay", [0.9, 1.0])
@pytest.mark.parametrize(("columns", "least"), [(9, 0), (86, 0), (86, 2**31)], ids=["few", "copied", "uncopied"])
def test_columns_may_begin_and_miss_values_at_different_times(
    *, ways: list[str], method: str, columns: int, least: int, decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the columns of a tile are alike changes from row to row, and from block to block."""
    monkeypatch.setattr(loops, "LEAST_COPIED", least)  # the last columns with a group of their own, or not
    for way in ways:
        assert in_parts.__wrapped__(by(way, method), columns, decay) == in_parts(interpreted(method), columns, decay)


@functools.cache
def in_parts(with_kernel: MethodKernel, columns: int, decay: float) -> tuple[bytes, bytes]:
    """Return the bits of y and of the state after blocks in which columns begin late, miss values, end, and jump."""
    method, rule = with_kernel.method.name, (decay, 0.0, 4.0, 0.0)
    values = np.random.default_rng(columns).normal(20.0, 3.0, size=(250, columns)).round(1)
    values[:40, 3] = values[150, 5] = values[200:, 70:] = math.nan
    values[220] = 1e6
    starts, ends = places(method, columns, rule)
    state = array("d", [0.0] * ends[-1])
    ys = [
        with_kernel.observe_block(part, np.zeros(len(part)), rule, parameters(method), state, starts, ends).tobytes()
        for part in np.split(values, [30, 31, 120])
    ]
    return b"".join(ys), state.tobytes()


@every_way
@pytest.mark.parametrize("horizon", [4.0, 16.0, 100.0, 256.0, 1000.0])
def test_a_bank_of_any_number_of_horizons_has_the_interpreters_bits(ways: list[str], horizon: float) -> None:
    p = AdaptiveParameters(horizon=horizon).pack()
    stride = base_statistics.SIZE + ADAPTIVE.size(p)
    values = np.random.default_rng(0).normal(20.0, 3.0, size=(200, 19))
    values[100:, 4] = 1e5
    starts, ends = range(0, 19 * stride, stride), range(stride, 19 * stride + 1, stride)
    answers = []
    for kernel in (interpreted("adaptive"), *(by(way, "adaptive") for way in ways)):
        state, rule = array("d", bytes(8 * 19 * stride)), (1.0 - 1.0 / horizon, 0.0, 32.0, 0.0)
        ys = kernel.observe_block(values, np.zeros(200), rule, p, state, starts, ends)
        answers.append((ys.tobytes(), state.tobytes()))
    assert len({*answers}) == 1


@every_way
@all_methods
@settings(max_examples=40)
@given(values=blocks, rule=rules, seed=seeds)
def test_single_readings_give_the_bits_of_blocks(
    *, ways: list[str], method: str, values: Array, rule: Rule, seed: int
) -> None:
    times = times_for(len(values), seed)
    together, kept = as_block(interpreted(method), values, times, rule)
    stride = base_statistics.SIZE + interpreted(method).own_size(parameters(method)) + (rule[1] > 0.0)
    constants = RowConstants(rule, parameters(method), stride)
    for way in ways:
        fast = by(way, method).fast
        assert fast is not None
        state = array("d", [0.0] * stride * values.shape[1])
        ys = [array("d", row) for row in values.tolist()]
        own = state.buffer_info()[0], constants.address
        ready = [fast.row(row_call(*y.buffer_info(), t, *own)) for y, t in zip(ys, times.tolist(), strict=True)]
        assert (b"".join(y.tobytes() for y in ys), state.tobytes()) == (together, kept), way
        again, ys_again, (rows, columns) = array("d", [0.0] * len(state)), values.copy(), values.shape
        where = np.array([(again.buffer_info()[0], constants.address)] * rows)
        found = fast.observe_readings(ys_again, np.arange(rows) * columns, np.full(rows, columns), times, where)
        assert (ys_again.tobytes(), again.tobytes(), found.tolist()) == (together, kept, ready), way


@every_way
@given(
    ys=blocks,
    missing=st.sampled_from([math.nan, 0.0]),
    clamp=st.sampled_from([math.inf, 2.5]),
    last=st.sampled_from([(math.inf, -1.0), (5.0, -1.0), (math.inf, 1e-5)]),
    seed=seeds,
)
def test_answers_are_finished_to_the_same_bits(
    *, ways: list[str], ys: Array, missing: float, clamp: float, last: tuple[float, float], seed: int
) -> None:
    gammas, betas = np.random.default_rng(seed).normal(size=(2, ys.shape[1])).tolist()
    arguments = (missing, clamp, gammas, betas, last)
    expected = interpreted("online").finish_block(ys.copy(), *arguments).tobytes()
    for way in ways:
        assert by(way, "online").finish_block(ys.copy(), *arguments).tobytes() == expected, way


@every_way
@given(blocks, st.sampled_from([1.0, 1e9, 1e74]), st.sampled_from(["f8", "f4"]))
def test_what_is_out_of_range_is_found_in_the_same_place(
    ways: list[str], values: Array, limit: float, kind: str
) -> None:
    with np.errstate(over="ignore"):
        values = values.astype(kind)
    expected = interpreted("online").first_out_of_range(values, limit)
    for way in ways:
        assert by(way, "online").first_out_of_range(values, limit) == expected, way


@every_way
@pytest.mark.parametrize("kind", ["f8", "f4"])
def test_the_first_value_out_of_range_is_found_wherever_it_is(ways: list[str], kind: str) -> None:
    for place in range(100):
        values = np.full((1, 100), math.nan, kind)
        values[0, place:] = -math.inf
        for way in ways:
            assert by(way, "online").first_out_of_range(values, 1e30) == (0, place), way


def test_a_library_is_used_before_numba_which_is_not_loaded() -> None:
    script = (
        "import sys; from streamnorm import Normalizer; from streamnorm.kernels import kernel_for\n"
        "Normalizer().observe_block([[1.0, 2.0]] * 600); print(kernel_for('online').compiled, 'numba' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    assert told.stdout.split() == ["True", "False"]


@pytest.mark.parametrize(("choice", "way"), [("numba", "NumbaLoops"), ("interpreted", "NoneType"), ("", "Loops")])
def test_the_environment_passes_over_what_is_not_wanted(choice: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.CHOICE, choice)
    assert needs_compiler() == (choice == "numba")
    assert type(kernel_for.__wrapped__("online").fast).__name__ == way


def test_where_no_library_fits_numba_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prebuilt, "fitting_library", lambda: None)
    assert needs_compiler()
    assert type(kernel_for.__wrapped__("online").fast).__name__ == "NumbaLoops"


@pytest.mark.parametrize(("without", "best"), [("", 3), ("avx512vl", 2), ("movbe", 1), ("pni", 0)])
def test_the_best_library_is_that_of_all_that_the_processor_has(
    without: str, best: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = {flag for level in targets.LEVELS.values() for flag in level} - {without}
    (tmp_path / "cpuinfo").write_text(LINES.format(" ".join(sorted(flags))))
    monkeypatch.setattr(targets, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert targets.fitting_targets() == [*targets.LEVELS][:best][::-1]
    monkeypatch.setattr(targets, "CPU_INFO", tmp_path / "missing")
    assert targets.fitting_targets() == []


@pytest.mark.parametrize(
    ("system", "machine", "fits"),
    [("linux", "aarch64", ["aarch64"]), ("linux", "riscv64", []), ("darwin", "arm64", []), ("win32", "AMD64", [])],
)
def test_other_systems_have_what_was_built_for_them(
    system: str, machine: str, fits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert targets.fitting_targets() == fits


def test_a_library_that_cannot_be_loaded_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.so"
    broken.write_text("no library")
    best = targets.fitting_targets()[0]
    good = targets.path_for(best)
    monkeypatch.setattr(prebuilt, "fitting_targets", lambda: ["broken", "missing", best])
    monkeypatch.setattr(
        prebuilt, "path_for", {"broken": broken, "missing": tmp_path / "missing.so", best: good}.__getitem__
    )
    assert prebuilt.fitting_library.__wrapped__() == good


def test_a_library_of_other_sources_has_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for pattern in targets.SOURCES:
        for file in targets.KERNELS.glob(pattern):
            copy = tmp_path / file.relative_to(targets.KERNELS)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(file.read_bytes())
    monkeypatch.setattr(targets, "KERNELS", tmp_path)
    assert targets.digest.__wrapped__() == targets.digest()
    for name in ("templates.py", "methods/batch.py", "cpu/emit.py"):
        file = tmp_path / name
        before = file.read_bytes()
        file.write_bytes(before + b"#")
        assert targets.digest.__wrapped__() != targets.digest()
        file.write_bytes(before)


@pytest.mark.parametrize("target", targets.fitting_targets())
def test_a_library_is_small_and_holds_every_entry(target: str) -> None:
    path = targets.path_for(target)
    assert path.stat().st_size < 300_000
    for method in METHODS.values():
        entries = prebuilt.load(method, path).entries
        lanes = (f"lanes_{count}" for count in method.counts)
        assert set(entries) >= {"row", "readings", "rows", "rows_of_singles", *lanes}
