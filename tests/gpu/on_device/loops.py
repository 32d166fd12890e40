"""What the loops on a device, real or simulated, must do; `test_device.py` runs this folder once for each."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamnorm.kernels import METHODS, MethodKernel, base_statistics
from streamnorm.kernels.cuda import device as cuda

Array = npt.NDArray[Any]
Rule = tuple[float, float, float, float]
HORIZON: Rule = (0.99, 0.0, 4.0, 0.0)
RULES: dict[str, Rule] = {
    "horizon": HORIZON,
    "time constant": (1.0, 30.0, 4.0, 0.0),
    "robust": (0.99, 0.0, 4.0, 2.0),
}
SMALL = {"batch": (5.0,), "batch-renorm": (5.0, 0.1, 3.0, 5.0), "streaming": (7.0, 0.3, 0.3, 1.0)}
every_method = pytest.mark.parametrize("method", sorted(METHODS))


def table(rows: int, columns: int, kind: str = "f8") -> Array:
    """Build a block with some values missing, and a constant."""
    rng = np.random.default_rng(0)
    values = rng.normal(20.0, 3.0, (rows, columns)).astype(kind)
    values[rng.random(values.shape) < 0.05] = math.nan
    values[:, 0] = 7.5
    return values


def times_for(rows: int) -> Array:
    return 1e9 + np.random.default_rng(0).normal(5.0, 10.0, rows).cumsum()


def parameters(method: str) -> tuple[float, ...]:
    return SMALL.get(method, METHODS[method].parameters().pack())


def places(method: str, columns: int, rule: Rule) -> tuple[range, range]:
    stride = base_statistics.SIZE + MethodKernel(METHODS[method]).own_size(parameters(method)) + (rule[1] > 0.0)
    return range(5, 5 + stride * columns, stride), range(5 + stride, 6 + stride * columns, stride)


def run(observe_block: Any, method: str, values: Any, rule: Rule) -> tuple[Any, Array]:
    """Observe a block twice in two halves; returns the answers of the second half, and the state."""
    rows, columns = values.shape
    starts, ends = places(method, columns, rule)
    state = array("d", [0.0] * ends[-1])
    times = times_for(rows)
    ys: Any = None
    for half in (slice(0, rows // 2), slice(rows // 2, rows)):
        ys = observe_block(values[half], times[half], rule, parameters(method), state, starts, ends)
    return ys, np.array(state)


def assert_alike(found: tuple[Any, Array], expected: tuple[Array, Array]) -> None:
    """Compare answers and states."""
    ys = np.asarray(found[0])
    rtol = 1e-12 if ys.dtype == np.float64 else 1e-6
    np.testing.assert_allclose(ys, expected[0], rtol=rtol, atol=rtol)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-9, atol=1e-9)


@every_method
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("registers", [0, cuda.IN_REGISTERS])
def test_a_block_comes_to_what_it_does_here(
    method: str, rule: Rule, registers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "IN_REGISTERS", registers)
    values = table(24, 3)
    device, here = cuda.device(METHODS[method]), MethodKernel(METHODS[method])
    assert_alike(run(device.observe_block, method, values, rule), run(here.observe_block, method, values, rule))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_block_that_is_too_large_goes_there_in_pieces(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "PIECE", 10)
    values = np.asfortranarray(table(24, 3))
    device, here = cuda.device(METHODS["online"]), MethodKernel(METHODS["online"])
    assert_alike(run(device.observe_block, "online", values, rule), run(here.observe_block, "online", values, rule))


def test_a_device_that_fails_half_way_leaves_the_state_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "PIECE", 10)
    device, values = cuda.device(METHODS["online"]), table(24, 3)
    starts, ends = places("online", 3, HORIZON)
    state = array("d", [0.0] * ends[-1])
    observe, pieces = device.observe, iter([True, True])

    def failing(*arguments: Any) -> Any:
        if not next(pieces, False):
            raise MemoryError("no room on the device")
        return observe(*arguments)

    monkeypatch.setattr(device, "observe", failing)
    with pytest.raises(MemoryError):
        device.observe_block(values, times_for(24), HORIZON, (), state, starts, ends)
    assert not any(state)


def test_float32_goes_in_and_comes_out() -> None:
    values = table(24, 3, "f4")
    found = run(cuda.device(METHODS["online"]).observe_block, "online", values, HORIZON)
    assert found[0].dtype == np.float32
    assert_alike(found, run(MethodKernel(METHODS["online"]).observe_block, "online", values, HORIZON))


@pytest.mark.parametrize("method", ["online", "cumulative"])
@pytest.mark.parametrize("rows", [64, 67, 90])
def test_few_columns_are_worked_on_in_stretches(method: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "SHORTEST_STRETCH", 8)
    values = table(rows, 2)
    device, here = cuda.device(METHODS[method]), MethodKernel(METHODS[method])
    assert device._stretch(rows // 2, 2, HORIZON) < rows // 2  # noqa: SLF001 - that it is what is tested
    assert_alike(run(device.observe_block, method, values, HORIZON), run(here.observe_block, method, values, HORIZON))


@pytest.mark.parametrize(("method", "rule"), [("batch", HORIZON), ("online", RULES["robust"])])
def test_what_is_not_linear_is_not_cut_into_stretches(method: str, rule: Rule) -> None:
    assert cuda.device(METHODS[method])._stretch(10_000, 2, rule) == 10_000  # noqa: SLF001


def test_many_columns_are_not_cut_into_stretches() -> None:
    assert cuda.device(METHODS["online"])._stretch(10_000, cuda.FEW_COLUMNS, HORIZON) == 10_000  # noqa: SLF001


def test_arrays_on_the_device_stay_there() -> None:
    values = table(24, 3)
    there = cuda.cuda.to_device(values)
    device = cuda.device(METHODS["online"])
    starts, ends = places("online", 3, HORIZON)
    state = array("d", [0.0] * ends[-1])
    ys = device.observe_block(there, times_for(24), HORIZON, (), state, starts, ends)
    expected = MethodKernel(METHODS["online"]).observe_block(
        values, times_for(24), HORIZON, (), array("d", [0.0] * ends[-1]), starts, ends
    )
    np.testing.assert_allclose(ys.copy_to_host(), expected, rtol=1e-12, atol=1e-12)
    assert np.array_equal(there.copy_to_host(), values, equal_nan=True)


def test_streams_have_an_axis_of_their_own() -> None:
    values = np.random.default_rng(0).normal(size=(3, 10, 2))
    state = cuda.cuda.to_device(np.zeros((base_statistics.SIZE, 6)))
    ys = (
        cuda.device(METHODS["online"])
        .observe(cuda.cuda.to_device(values), times_for(10), HORIZON, (), state)
        .copy_to_host()
    )
    for stream in range(3):
        alone, _ = run(
            MethodKernel(METHODS["online"]).observe_block,
            "online",
            np.vstack([values[stream][:0], values[stream]]),
            HORIZON,
        )
        np.testing.assert_allclose(ys[stream, 5:], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("place", [None, 0, 5])
@pytest.mark.parametrize("value", [math.inf, -1e76])
def test_a_wild_value_is_found(place: int | None, value: float) -> None:
    values = np.zeros((3, 2))
    values[1, 0] = math.nan
    if place is not None:
        values.ravel()[place:] = value
    found = cuda.device(METHODS["online"]).first_out_of_range(cuda.cuda.to_device(values), 1e75)
    assert found == (-1 if place is None else place)


@pytest.mark.parametrize("compensation", [(5.0, -1.0), (math.inf, 1e-5)])
@pytest.mark.parametrize("missing", [0.0, math.nan])
def test_answers_are_finished_as_here(compensation: tuple[float, float], missing: float) -> None:
    ys = table(10, 3) - 20.0
    arguments = (missing, 2.5, [1.0, 2.0, 3.0], [0.0, 1.0, 2.0], compensation)
    done = cuda.device(METHODS["online"]).finish_block(cuda.cuda.to_device(ys), *arguments).copy_to_host()
    np.testing.assert_allclose(
        done, MethodKernel(METHODS["online"]).finish_block(ys, *arguments), rtol=1e-12, atol=1e-12
    )


def test_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="float64 or float32"):
        cuda.as_device(cuda.cuda.to_device(np.zeros((2, 2), dtype=np.int32)))
