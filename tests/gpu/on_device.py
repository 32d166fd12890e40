"""What a device, real or simulated, must do; `test_device.py` runs this file once for each."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamnorm import Normalizer
from streamnorm.engine.block import Block
from streamnorm.engine.blocks import all_on_one_device, observe_blocks
from streamnorm.engine.config import configuration
from streamnorm.engine.limits import Limits
from streamnorm.engine.plan import plan
from streamnorm.engine.stream import Stream
from streamnorm.errors import InvalidReading
from streamnorm.kernels import METHODS, Kernel, cuda, kernel, profile

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
    """Make a block with some values missing, and a constant."""
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
    stride = profile.SIZE + Kernel(METHODS[method]).own_size(parameters(method)) + (rule[1] > 0.0)
    return range(5, 5 + stride * columns, stride), range(5 + stride, 6 + stride * columns, stride)


def run(observe_block: Any, method: str, values: Any, rule: Rule) -> tuple[Any, Array]:
    """Observe a block twice in two halves; gives the answers of the second half, and the state."""
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
def test_a_block_comes_to_what_it_does_here(method: str, rule: Rule) -> None:
    values = table(24, 3)
    device, here = cuda.device(METHODS[method]), Kernel(METHODS[method])
    assert_alike(run(device.observe_block, method, values, rule), run(here.observe_block, method, values, rule))


def test_float32_goes_in_and_comes_out() -> None:
    values = table(24, 3, "f4")
    found = run(cuda.device(METHODS["online"]).observe_block, "online", values, HORIZON)
    assert found[0].dtype == np.float32
    assert_alike(found, run(Kernel(METHODS["online"]).observe_block, "online", values, HORIZON))


@pytest.mark.parametrize("method", ["online", "cumulative"])
@pytest.mark.parametrize("rows", [64, 67, 90])
def test_few_columns_are_worked_on_in_stretches(method: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "SHORTEST_STRETCH", 8)
    values = table(rows, 2)
    device, here = cuda.device(METHODS[method]), Kernel(METHODS[method])
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
    expected = Kernel(METHODS["online"]).observe_block(
        values, times_for(24), HORIZON, (), array("d", [0.0] * ends[-1]), starts, ends
    )
    np.testing.assert_allclose(ys.copy_to_host(), expected, rtol=1e-12, atol=1e-12)
    assert np.array_equal(there.copy_to_host(), values, equal_nan=True)


def test_streams_have_an_axis_of_their_own() -> None:
    values = np.random.default_rng(0).normal(size=(3, 10, 2))
    state = cuda.cuda.to_device(np.zeros((profile.SIZE, 6)))
    ys = cuda.device(METHODS["online"]).observe(cuda.cuda.to_device(values), None, HORIZON, (), state).copy_to_host()
    for stream in range(3):
        alone, _ = run(
            Kernel(METHODS["online"]).observe_block, "online", np.vstack([values[stream][:0], values[stream]]), HORIZON
        )
        np.testing.assert_allclose(ys[stream, 5:], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("place", [None, 0, 5])
@pytest.mark.parametrize("value", [math.inf, -1e76])
def test_a_wild_value_is_found(place: int | None, value: float) -> None:
    values = np.zeros((3, 2))
    values[1, 0] = math.nan
    if place is not None:
        values.ravel()[place:] = value
    found = cuda.device(METHODS["online"]).first_wild(cuda.cuda.to_device(values), 1e75)
    assert found == (-1 if place is None else place)


def test_answers_are_finished_as_here() -> None:
    ys = table(10, 3) - 20.0
    arguments = (0.0, 2.5, [1.0, 2.0, 3.0], [0.0, 1.0, 2.0], (5.0, 1e-5))
    done = cuda.device(METHODS["online"]).finish_block(cuda.cuda.to_device(ys), *arguments).copy_to_host()
    np.testing.assert_allclose(done, Kernel(METHODS["online"]).finish_block(ys, *arguments), rtol=1e-12, atol=1e-12)


def test_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="float64 or float32"):
        cuda.as_device(cuda.cuda.to_device(np.zeros((2, 2), dtype=np.int32)))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """Have every block sent to the device."""
    works = kernel("online")
    monkeypatch.setattr(works, "device_from", 0)
    return works


def blocks(*kinds: str) -> dict[str, Block]:
    rng = np.random.default_rng(0)
    return {
        f"s-{n}": Block(("a", "b"), rng.normal(20.0, 3.0, (20, 2)).astype(kind), None, 1)
        for n, kind in enumerate(kinds)
    }


def drafts(names: Iterable[str], **config: object) -> dict[str, Stream]:
    return {name: Stream(plan(configuration(config, {}))) for name in names}


@pytest.mark.parametrize("config", [{}, {"clamp": 1.0, "missing": "mean"}])
@pytest.mark.parametrize("kind", ["f8", "f4"])
def test_blocks_of_many_streams_go_there_in_one_piece(sent: Kernel, config: dict[str, object], kind: str) -> None:
    ours = blocks(kind, kind, kind)
    there, here = drafts(ours, **config), drafts(ours, **config)
    assert all_on_one_device(there, ours)
    found = observe_blocks(there, ours, 0.0, Limits())
    sent.device_from = math.inf
    expected = observe_blocks(here, ours, 0.0, Limits())
    for name in ours:
        tolerance = 1e-12 if kind == "f8" else 1e-6
        assert found[name].values.dtype == np.dtype(kind)
        np.testing.assert_allclose(found[name].values, expected[name].values, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(there[name].state, here[name].state, rtol=1e-9, atol=1e-9)
        assert (found[name].count, found[name].ready) == (expected[name].count, expected[name].ready)


@pytest.mark.usefixtures("sent")
def test_a_retry_is_computed_stream_by_stream() -> None:
    ours = blocks("f8", "f8")
    streams = drafts(ours)
    first = observe_blocks(streams, ours, 0.0, Limits())
    assert not all_on_one_device(streams, ours)
    again = observe_blocks(streams, ours, 0.0, Limits())
    assert all(again[name].replayed for name in ours)
    np.testing.assert_allclose(again["s-1"].values, first["s-1"].values, rtol=1e-12, atol=1e-12)


def test_a_normalizer_takes_arrays_on_the_device_and_answers_there() -> None:
    rows = np.random.default_rng(0).normal(20.0, 3.0, (30, 2))
    there, here = Normalizer(clamp=2.0), Normalizer(clamp=2.0)
    answer = there.observe_block(cuda.cuda.to_device(rows), features=["a", "b"]).values
    expected = here.observe_block(rows, features=["a", "b"]).values
    np.testing.assert_allclose(answer.copy_to_host(), expected, rtol=1e-12, atol=1e-12)
    assert there.observe({"a": 1.0, "b": 2.0}) is not None


def test_a_normalizer_refuses_what_is_no_table_on_the_device() -> None:
    with pytest.raises(InvalidReading, match="float64 or float32"):
        Normalizer().observe_block(cuda.cuda.to_device(np.zeros((2, 2), dtype=np.int32)))
    with pytest.raises(InvalidReading, match="is no block"):
        Normalizer().observe_block(cuda.cuda.to_device(np.zeros(2)))
    with pytest.raises(InvalidReading, match="/values/1/0"):
        Normalizer().observe_block(cuda.cuda.to_device(np.array([[1.0], [math.inf]])))
