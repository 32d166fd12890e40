"""`batch` is the z-score within the last readings, without drift."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streamnorm.kernels.methods.batch import BATCH, BatchParameters
from tests.kernels import naive
from tests.support.kernels import interpreted

readings = st.lists(st.integers(-1000, 1000).map(lambda n: n / 8), min_size=1, max_size=80)


@given(readings, st.integers(2, 20))
def test_y_is_the_z_score_within_the_window(xs: list[float], window: int) -> None:
    ys = interpreted(BATCH, xs, (float(window),))
    np.testing.assert_allclose(ys, naive.batch(xs, window), rtol=1e-10, atol=1e-10)


def test_a_huge_reading_that_left_the_window_leaves_no_trace() -> None:
    rng = np.random.default_rng(0)
    xs = rng.normal(size=2000)
    xs[500] = 1e14
    ys = interpreted(BATCH, xs, (100.0,))
    np.testing.assert_allclose(ys[600:], naive.batch(xs[500:].tolist(), 100)[100:], rtol=1e-10, atol=1e-10)


def test_statistics_do_not_drift_over_many_readings() -> None:
    rng = np.random.default_rng(0)
    xs = 1e8 + rng.normal(size=300_000)
    ys = interpreted(BATCH, xs)
    np.testing.assert_allclose(ys[-50:], naive.batch(xs[-400:].tolist(), 256)[-50:], rtol=1e-6, atol=1e-6)


def test_constants_give_exactly_zero_once_they_fill_the_window() -> None:
    xs = [0.1] * 40 + [0.7] * 100
    ys = interpreted(BATCH, xs, (32.0,))
    assert not ys[:40].any()
    assert not ys[40 + 32 :].any()


def test_spread_is_the_windows_mean_and_standard_deviation() -> None:
    xs = np.random.default_rng(0).normal(size=500)
    p = (64.0,)
    state = [0.0] * BATCH.size(p)
    interpreted(BATCH, xs, p, state)
    assert BATCH.spread(p, state, 0) == pytest.approx((xs[-64:].mean(), xs[-64:].std()), rel=1e-12)


def test_a_channel_is_the_batch_of_all_its_elements() -> None:
    images = np.random.default_rng(0).normal(size=(50, 9))
    means, variances = images.mean(axis=1), images.var(axis=1)
    ys = interpreted(BATCH, means, (10.0,), vs=variances.tolist())
    elements = images[-10:]
    assert ys[-1] == pytest.approx((means[-1] - elements.mean()) / elements.std(), rel=1e-12)


def test_robust_learns_a_bounded_deviation_and_answers_the_whole_one() -> None:
    xs = [*np.random.default_rng(0).normal(size=99).tolist(), 1e6]
    p = (128.0,)
    state = [0.0] * BATCH.size(p)
    ys = interpreted(BATCH, xs, p, state, clip=3.0)
    assert ys[-1] == pytest.approx(np.sqrt(99.0))
    assert BATCH.spread(p, state, 0)[1] < 1.2


@pytest.mark.parametrize("window", [1, 65_537, 2.5])
def test_a_window_out_of_limits_is_refused(window: float) -> None:
    with pytest.raises(ValidationError):
        BatchParameters.model_validate({"window": window})
