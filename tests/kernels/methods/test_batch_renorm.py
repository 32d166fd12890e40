"""`batch-renorm` is the paper's Algorithm 1 over a sliding batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streamnorm.kernels.methods.batch_renorm import BATCH_RENORM, BatchRenormParameters
from tests.kernels import naive
from tests.support.kernels import interpreted


@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 20),
    st.floats(0.01, 1.0),
    st.floats(1.0, 5.0),
    st.floats(0.0, 5.0),
)
def test_y_follows_the_algorithm(seed: int, window: int, momentum: float, r_max: float, d_max: float) -> None:
    rng = np.random.default_rng(seed)
    xs = (rng.normal(size=60) * np.repeat([1.0, 5.0, 0.1], 20) + np.repeat([0.0, 3.0, -3.0], 20)).tolist()
    ys = interpreted(BATCH_RENORM, xs, (float(window), momentum, r_max, d_max))
    np.testing.assert_allclose(ys, naive.batch_renorm(xs, window, momentum, r_max, d_max), rtol=1e-8, atol=1e-8)


def test_without_corrections_it_is_batch_normalization() -> None:
    xs = np.random.default_rng(0).normal(size=300).tolist()
    ys = interpreted(BATCH_RENORM, xs, (32.0, 0.01, 1.0, 0.0))
    np.testing.assert_allclose(ys, naive.batch(xs, 32), rtol=1e-12, atol=1e-12)


def test_where_nothing_is_clipped_y_is_the_z_score_by_the_moving_averages() -> None:
    xs = np.random.default_rng(0).normal(size=300)
    p = (64.0, 0.01, 1e6, 1e6)
    state = [0.0] * BATCH_RENORM.size(p)
    interpreted(BATCH_RENORM, xs[:-1], p, state)
    mean, std = BATCH_RENORM.spread(p, state, 0)
    assert interpreted(BATCH_RENORM, xs[-1:], p, state)[0] == pytest.approx((xs[-1] - mean) / std, rel=1e-12)


def test_constants_give_exactly_zero() -> None:
    ys = interpreted(BATCH_RENORM, [0.1] * 40 + [0.7] * 4000, (32.0, 0.01, 3.0, 5.0))
    assert not ys[:40].any()
    assert not ys[40 + 32 :].any()


@pytest.mark.parametrize("own", [{"r_max": 0.5}, {"d_max": -1.0}, {"momentum": 0.0}, {"momentum": 1.5}])
def test_parameters_out_of_limits_are_refused(own: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        BatchRenormParameters.model_validate(own)
