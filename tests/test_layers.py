"""The layer reproduces the authors' outputs and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamnorm.errors import ShapeMismatch
from streamnorm.layers import OnlineNorm
from tests.support.golden import golden

flat, images = golden("online_norm_1d"), golden("online_norm_2d")


def layer_of(case: dict[str, Any]) -> OnlineNorm:
    layer = OnlineNorm(
        flat["x"].shape[1],
        alpha_fwd=case["alpha_fwd"],
        alpha_bkw=case["alpha_bkw"],
        eps=case["eps"],
        compensation=case["compensation"].replace("_", "-"),
    )
    if case["gamma"] is not None:
        layer.gamma, layer.beta = case["gamma"], case["beta"]
    return layer


@pytest.mark.parametrize("case", flat["cases"], ids=lambda case: case["name"])
def test_outputs_are_the_authors(case: dict[str, Any]) -> None:
    np.testing.assert_allclose(layer_of(case).forward(flat["x"])[flat["rows"]], case["y"], rtol=0, atol=1e-10)


@pytest.mark.parametrize("case", flat["cases"], ids=lambda case: case["name"])
def test_statistics_are_the_authors(case: dict[str, Any]) -> None:
    layer = layer_of(case)
    layer.forward(flat["x"])
    np.testing.assert_allclose([layer.mean, layer.var], [case["mean"], case["var"]], rtol=0, atol=1e-10)


@pytest.mark.parametrize("case", flat["cases"], ids=lambda case: case["name"])
def test_gradients_are_the_authors(case: dict[str, Any]) -> None:
    layer = layer_of(case)
    layer.forward(flat["x"])
    gradients = layer.backward(flat["grad_out"])
    # Relative where a feature's tiny spread makes gradients of 10⁵.
    np.testing.assert_allclose(gradients[flat["rows"]], case["grad_in"], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("case", images["cases"], ids=lambda case: case["name"])
def test_a_channels_outputs_are_the_authors(case: dict[str, Any]) -> None:
    layer = OnlineNorm(3, alpha_fwd=case["alpha_fwd"], eps=case["eps"], compensation="none")
    np.testing.assert_allclose(layer.forward(images["x"])[images["rows"]], case["y"], rtol=0, atol=1e-10)


def test_two_blocks_are_as_one() -> None:
    case = flat["cases"][0]
    layer = layer_of(case)
    got = []
    for part in (slice(0, 77), slice(77, None)):
        layer.forward(flat["x"][part])
        got.append(layer.backward(flat["grad_out"][part]))
    np.testing.assert_allclose(np.concatenate(got)[flat["rows"]], case["grad_in"], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("compensation", ["clamp", "layer-scaling", "none"])
def test_gamma_and_beta_have_the_gradients_of_finite_differences(compensation: Any) -> None:
    rng = np.random.default_rng(0)
    x, grad = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))

    def loss(gamma: float, beta: float) -> float:
        layer = OnlineNorm(3, compensation=compensation, clamp=1.0)
        layer.gamma[1], layer.beta[1] = gamma, beta
        return float((layer.forward(x) * grad).sum())

    layer = OnlineNorm(3, compensation=compensation, clamp=1.0)
    layer.forward(x)
    layer.backward(grad)
    step = 1e-6
    by_gamma = (loss(1 + step, 0.0) - loss(1 - step, 0.0)) / (2 * step)
    by_beta = (loss(1.0, step) - loss(1.0, -step)) / (2 * step)
    assert (layer.gamma_grad[1], layer.beta_grad[1]) == pytest.approx((by_gamma, by_beta), rel=1e-6)


def test_gradients_of_a_channel_stay_orthogonal_to_its_outputs() -> None:
    rng = np.random.default_rng(0)
    layer = OnlineNorm(3, alpha_fwd=0.99, alpha_bkw=0.9, compensation="none")
    x = rng.normal(size=(2000, 3, 4, 4))
    out = layer.forward(x)
    back = layer.backward(out + 1.0)  # along y and along 1: what the control process takes away
    assert np.abs(back[-1000:].mean(axis=(0, 2, 3))).max() < 0.01
    assert np.abs((back[-1000:] * out[-1000:]).mean(axis=(0, 2, 3))).max() < 0.05


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 2, 3)])
def test_a_block_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatch):
        OnlineNorm(3).forward(np.zeros(shape))


def test_a_gradient_of_another_shape_is_refused() -> None:
    layer = OnlineNorm(3)
    layer.forward(np.zeros((4, 3)))
    with pytest.raises(ShapeMismatch):
        layer.backward(np.zeros((5, 3)))
