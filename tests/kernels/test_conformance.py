"""What every method keeps, whatever the sensor sends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.kernels.method import Method
from streamnorm.kernels.methods.adaptive import ADAPTIVE
from streamnorm.kernels.methods.batch import BATCH
from streamnorm.kernels.methods.batch_renorm import BATCH_RENORM
from streamnorm.kernels.methods.online import CUMULATIVE, ONLINE
from streamnorm.kernels.methods.online_2019 import ONLINE_2019
from streamnorm.kernels.methods.streaming import STREAMING
from tests.support.kernels import compiled, interpreted

#: small ones, so that a few readings reach every branch
SMALL: dict[str, tuple[float, ...]] = {
    "batch": (5.0,),
    "batch-renorm": (5.0, 0.1, 3.0, 5.0),
    "streaming": (7.0, 0.3, 0.3, 1.0),
}
OWN = [ONLINE, CUMULATIVE, ADAPTIVE, BATCH, BATCH_RENORM, STREAMING]
METHODS = [*OWN, ONLINE_2019]
all_methods = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
own_methods = pytest.mark.parametrize("method", OWN, ids=lambda method: method.name)

LARGEST = 1e75
value = st.one_of(
    st.floats(-LARGEST, LARGEST),
    st.floats(-1.0, 1.0),
    st.sampled_from([0.0, 1.0, 1.0 + 2**-52, 5e-324, LARGEST, -LARGEST]),
)
readings = st.lists(st.tuples(value, st.integers(1, 12)), min_size=1, max_size=12).map(
    lambda runs: [x for x, times in runs for _ in range(times)]
)
clips = st.sampled_from([math.inf, 1.0, 3.0])


def parameters(method: Method) -> tuple[float, ...]:
    return SMALL.get(method.name, method.parameters().pack())


@all_methods
@given(xs=readings, clip=clips)
def test_every_answer_is_finite(method: Method, xs: list[float], clip: float) -> None:
    assert np.isfinite(interpreted(method, xs, parameters(method), clip=clip)).all()


@all_methods
@given(xs=readings, clip=clips)
def test_every_state_is_finite(method: Method, xs: list[float], clip: float) -> None:
    p = parameters(method)
    state = [0.0] * method.size(p)
    interpreted(method, xs, p, state, clip=clip)
    assert np.isfinite([*state, *method.spread(p, state, 0)]).all()


@pytest.mark.jit
@all_methods
@given(xs=readings, clip=clips)
def test_compiled_and_interpreted_give_the_same_bits(method: Method, xs: list[float], clip: float) -> None:
    p = parameters(method)
    one, other = [0.0] * method.size(p), np.zeros(method.size(p))
    plain, fast = interpreted(method, xs, p, one, clip=clip), compiled(method, xs, p, other, clip=clip)
    assert (plain.tobytes(), np.array(one).tobytes()) == (fast.tobytes(), other.tobytes())


@pytest.mark.jit
@all_methods
@pytest.mark.parametrize("clip", [math.inf, 3.0])
def test_the_same_bits_over_a_long_run_of_channels(method: Method, clip: float) -> None:
    rng = np.random.default_rng(0)
    xs, vs = rng.normal(20.0, 1.0, size=3000), rng.random(3000).tolist()
    p = parameters(method)
    assert (interpreted(method, xs, p, vs=vs, clip=clip) == compiled(method, xs, p, vs=vs, clip=clip)).all()


@own_methods
@given(x=value)
def test_the_first_reading_gives_zero(method: Method, x: float) -> None:
    assert interpreted(method, [x], parameters(method))[0] == 0.0


@own_methods
@given(x=value)
def test_a_constant_gives_exactly_zero(method: Method, x: float) -> None:
    assert not interpreted(method, [x] * 40, parameters(method)).any()


@own_methods
@given(xs=readings, clip=clips)
def test_answers_are_bounded(method: Method, xs: list[float], clip: float) -> None:
    bound = {"batch": 2.0, "batch-renorm": 2.0 * 3.0 + 5.0, "streaming": 7.0 / 0.3, "adaptive": math.sqrt(16_000.0)}
    limit = bound.get(method.name, math.sqrt(len(xs)))
    assert np.abs(interpreted(method, xs, parameters(method), clip=clip)).max() <= limit * (1 + 1e-9)


@own_methods
def test_an_element_of_a_channel_is_scaled_by_its_spread(method: Method) -> None:
    rng = np.random.default_rng(0)
    p = method.parameters().pack()
    state = [0.0] * method.size(p)
    images = rng.normal(20.0, 3.0, size=(500, 16))
    elements = []
    for image in images:
        mean = float(image.mean())
        y, scale = method.step(mean, float(image.var()), 0.999, 1.0, math.inf, p, state, 0)
        elements.append(y + (image - mean) * scale)
    assert np.std(elements[100:]) == pytest.approx(1.0, rel=0.05)


@all_methods
def test_only_the_methods_own_block_is_touched(method: Method) -> None:
    p = parameters(method)
    size = method.size(p)
    state = [7.0] * 3 + [0.0] * size + [7.0] * 3
    for x in np.random.default_rng(0).normal(size=50):
        method.step(float(x), 0.0, 0.999, 1.0, math.inf, p, state, 3)
    assert (state[:3], state[-3:]) == ([7.0] * 3, [7.0] * 3)


@all_methods
def test_a_block_may_begin_anywhere(method: Method) -> None:
    p = parameters(method)
    xs = np.random.default_rng(0).normal(size=50)
    state = [0.0] * (5 + method.size(p))
    shifted = [method.step(float(x), 0.0, 0.999, 1.0, math.inf, p, state, 5)[0] for x in xs]
    assert shifted == interpreted(method, xs, p).tolist()
