"""`streaming` mixes the statistics of the current period with long-term ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streamnorm.kernels.methods.streaming import STREAMING, StreamingParameters
from tests.kernels import naive
from tests.support.kernels import interpreted


@given(
    st.integers(0, 2**32 - 1), st.integers(2, 20), st.floats(0.05, 1.0), st.floats(0.05, 0.95), st.sampled_from([1, 2])
)
def test_y_follows_the_formulas(seed: int, period: int, fold: float, mix: float, order: int) -> None:
    rng = np.random.default_rng(seed)
    xs = (rng.normal(size=90) * np.repeat([1.0, 5.0, 0.1], 30) + np.repeat([0.0, 3.0, -3.0], 30)).tolist()
    ys = interpreted(STREAMING, xs, (float(period), fold, mix, float(order)))
    np.testing.assert_allclose(ys, naive.streaming(xs, period, fold, mix, order), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("order", [1.0, 2.0])
def test_constants_give_exactly_zero(order: float) -> None:
    ys = interpreted(STREAMING, [0.1] * 40 + [0.7] * 4000, (32.0, 0.3, 0.3, order))
    assert not ys[:40].any()
    assert not ys[40 + 32 :].any()


def test_order_1_divides_by_the_mean_absolute_deviation() -> None:
    xs = np.random.default_rng(0).normal(size=5000)
    ys = interpreted(STREAMING, xs, StreamingParameters(order=1).pack())
    assert np.abs(ys[1000:]).mean() == pytest.approx(1.0, abs=0.02)


def test_order_2_gives_unit_variance() -> None:
    xs = np.random.default_rng(0).normal(20.0, 3.0, size=5000)
    assert interpreted(STREAMING, xs)[1000:].std() == pytest.approx(1.0, abs=0.02)


def test_spread_is_what_the_last_reading_was_normalized_by() -> None:
    xs = np.random.default_rng(0).normal(20.0, 3.0, size=777)
    p = STREAMING.parameters().pack()
    state = [0.0] * STREAMING.size(p)
    ys = interpreted(STREAMING, xs, p, state)
    mean, std = STREAMING.spread(p, state, 0)
    assert ys[-1] == pytest.approx((xs[-1] - mean) / std, rel=1e-12)


def test_robust_learns_a_bounded_deviation_and_answers_the_whole_one() -> None:
    xs = [*np.random.default_rng(0).normal(size=99).tolist(), 1e6]
    p = STREAMING.parameters().pack()
    state = [0.0] * STREAMING.size(p)
    ys = interpreted(STREAMING, xs, p, state, clip=3.0)
    assert ys[-1] > 9.0
    assert STREAMING.spread(p, state, 0)[1] < 1.2


@pytest.mark.parametrize("own", [{"order": 3}, {"period": 1}, {"fold": 0.0}, {"mix": 1.1}])
def test_parameters_out_of_limits_are_refused(own: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        StreamingParameters.model_validate(own)
