"""Whatever machine runs the loops, one by one or as a block, the bits are the same."""

from __future__ import annotations

import functools
import math
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.kernels import METHODS, MethodKernel, kernel_for
from streamnorm.kernels.cpu.loops import LEAST_IN_LANES
from streamnorm.kernels.cpu.numba_loops import compiled, sources
from tests.support.blocks import Array, Rule, as_block, blocks, number, parameters, places, rules, seeds, times_for

NO_COMPENSATION = (math.inf, -1.0)

interpreted = functools.cache(lambda name: MethodKernel(METHODS[name]))
all_methods = pytest.mark.parametrize("method", sorted(METHODS))


def one_by_one(name: str, values: Array, times: Array, rule: Rule) -> tuple[bytes, bytes]:
    """Return the bits of y and of the state after one reading at a time."""
    starts, ends = places(name, values.shape[1], rule)
    state = array("d", [0.0] * ends[-1])
    ys = [
        kernel_for(name).observe(x, 0.0, x, x, t, rule, parameters(name), state, at, end)[0]
        for row, t in zip(values.tolist(), times.tolist(), strict=True)
        for x, at, end in zip(row, starts, ends, strict=True)
    ]
    return np.array(ys).tobytes(), state.tobytes()


def test_compiled_loops_are_kept_by_a_digest_of_all_source() -> None:
    # Numba looks at the file of the loop alone, and would go on with the step of yesterday.
    assert sources() in compiled(METHODS["online"]).entries["rows"].py_func.__qualname__


@all_methods
@given(values=blocks, rule=rules, seed=seeds)
def test_a_block_gives_the_bits_of_one_by_one(method: str, values: Array, rule: Rule, seed: int) -> None:
    times = times_for(len(values), seed)
    assert as_block(kernel_for(method), values, times, rule) == one_by_one(method, values, times, rule)


@all_methods
@given(values=blocks, rule=rules, seed=seeds)
def test_compiled_and_interpreted_blocks_give_the_same_bits(method: str, values: Array, rule: Rule, seed: int) -> None:
    times = times_for(len(values), seed)
    assert as_block(kernel_for(method), values, times, rule) == as_block(interpreted(method), values, times, rule)


@pytest.mark.parametrize("method", ["online", "cumulative", "adaptive"])
@pytest.mark.parametrize("kind", ["f8", "f4"])
@given(
    numbers=st.lists(number, min_size=1, max_size=60), columns=st.integers(2, 70), decay=st.sampled_from([0.5, 0.999])
)
def test_columns_side_by_side_give_the_bits_of_one_alone(
    method: str, kind: str, numbers: list[float], columns: int, decay: float
) -> None:
    rows = math.ceil(LEAST_IN_LANES / columns)
    with np.errstate(over="ignore"):  # what is too large for float32 is refused before it comes here
        values = np.clip(np.resize(numbers, (rows, columns)).astype(kind), -1e30, 1e30)
    times, rule = times_for(rows, 0), (decay, 0.0, 4.0, 0.0)
    wide, state = as_block(kernel_for(method), values, times, rule)
    alone = [as_block(kernel_for(method), values[:, [column]], times, rule) for column in range(columns)]
    assert wide == np.column_stack([np.frombuffer(ys, kind) for ys, _ in alone]).tobytes()
    assert state == b"".join(own for _, own in alone)


@all_methods
def test_a_long_block_gives_the_bits_of_one_by_one(method: str) -> None:
    values = np.random.default_rng(0).normal(20.0, 1.0, size=(3000, 2))
    values[np.random.default_rng(1).random(values.shape) < 0.01] = math.nan
    rule = (0.999, 600.0, 32.0, 3.0)
    times = times_for(len(values), 0)
    assert as_block(kernel_for(method), values, times, rule) == one_by_one(method, values, times, rule)


def test_a_blocks_order_in_memory_does_not_matter() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    rule = (0.999, 0.0, 32.0, 0.0)
    times = np.zeros(50)
    assert as_block(kernel_for("online"), np.asfortranarray(values), times, rule) == as_block(
        kernel_for("online"), values, times, rule
    )


def test_columns_do_not_know_of_each_other() -> None:
    values = np.random.default_rng(0).normal(size=(50, 2))
    rule = (0.999, 0.0, 32.0, 0.0)
    together, _ = as_block(kernel_for("online"), values, np.zeros(50), rule)
    alone, _ = as_block(kernel_for("online"), values[:, 1:], np.zeros(50), rule)
    assert np.frombuffer(together).reshape(50, 2)[:, 1].tobytes() == alone


def test_a_block_does_not_change_its_input() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    before = values.copy()
    as_block(kernel_for("online"), values, np.zeros(50), (0.999, 0.0, 32.0, 0.0))
    assert (values == before).all()


@given(
    blocks,
    st.sampled_from([math.nan, 0.0]),
    st.sampled_from([math.inf, 2.5]),
    st.sampled_from([NO_COMPENSATION, (5.0, -1.0), (math.inf, 1e-5)]),
    seeds,
)
def test_compiled_and_interpreted_answers_are_finished_to_the_same_bits(
    ys: Array, missing: float, clamp: float, compensation: tuple[float, float], seed: int
) -> None:
    gammas, betas = np.random.default_rng(seed).normal(size=(2, ys.shape[1])).tolist()
    arguments = (missing, clamp, gammas, betas, compensation)
    compiled = kernel_for("online").finish_block(ys.copy(), *arguments)
    assert compiled.tobytes() == interpreted("online").finish_block(ys.copy(), *arguments).tobytes()


def finish(ys: list[list[float]], missing: float = math.nan, clamp: float = math.inf, **affine: list[float]) -> Array:
    """Finish a block of one column each with its own gamma and beta."""
    gammas, betas = affine.get("gamma", [1.0] * len(ys[0])), affine.get("beta", [0.0] * len(ys[0]))
    return kernel_for("online").finish_block(np.array(ys), missing, clamp, gammas, betas, NO_COMPENSATION)


def test_a_clamp_bounds_both_sides() -> None:
    assert finish([[-9.0, 1.0, 9.0]], clamp=3.0).tolist() == [[-3.0, 1.0, 3.0]]


def test_the_affine_map_comes_after_the_clamp() -> None:
    assert finish([[9.0, 9.0]], clamp=3.0, gamma=[2.0, 10.0], beta=[1.0, 0.0]).tolist() == [[7.0, 30.0]]


def test_a_missing_value_stays_missing() -> None:
    assert np.isnan(finish([[math.nan]], clamp=3.0)).all()


def test_a_missing_value_becomes_beta_where_the_mean_is_asked_for() -> None:
    assert finish([[math.nan]], missing=0.0, gamma=[5.0], beta=[0.5]).tolist() == [[0.5]]


@pytest.mark.parametrize("order", ["C", "F"])
def test_answers_are_finished_whatever_their_order_in_memory(order: str) -> None:
    ys = np.array([[9.0, 1.0], [-9.0, 2.0]], order=order)  # type: ignore[call-overload]
    done = kernel_for("online").finish_block(ys, math.nan, 3.0, [1.0, 1.0], [0.0, 0.0], NO_COMPENSATION)
    assert done.tolist() == [[3.0, 1.0], [-3.0, 2.0]]


def test_layer_scaling_divides_by_the_root_mean_square_of_what_is_there() -> None:
    ys = kernel_for("online").finish_block(
        np.array([[3.0, math.nan, 4.0]]), math.nan, math.inf, [1.0] * 3, [0.0] * 3, (math.inf, 0.0)
    )
    assert ys[0, [0, 2]].tolist() == pytest.approx([3.0 / math.sqrt(12.5), 4.0 / math.sqrt(12.5)])


def test_an_infinity_of_float32_is_beyond_what_float32_cannot_hold() -> None:
    values = np.array([[1.0, np.nan], [2.0, np.inf]], dtype=np.float32)
    assert MethodKernel(METHODS["online"]).first_out_of_range(values, 1e75) == (1, 1)
