"""`online-2019` reproduces its authors' outputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from streamnorm.kernels.methods.online_2019 import ONLINE_2019, Online2019Parameters, compensation
from streamnorm.kernels.templates import finish_rows
from tests.support.golden import golden

flat, images = golden("online_norm_1d"), golden("online_norm_2d")


def parameters(case: dict[str, Any]) -> tuple[float, ...]:
    given = case.get("compensation", "none").replace("_", "-")
    return Online2019Parameters(alpha_fwd=case["alpha_fwd"], eps=case["eps"], compensation=given).pack()


@pytest.mark.parametrize("case", flat["cases"], ids=lambda case: case["name"])
def test_a_readings_finished_outputs_are_the_authors(case: dict[str, Any]) -> None:
    p = parameters(case)
    features = flat["x"].shape[1]
    gamma = np.ones(features) if case["gamma"] is None else case["gamma"]
    beta = np.zeros(features) if case["beta"] is None else case["beta"]
    state = [0.0] * (3 * features)
    answers = []
    for x in flat["x"]:
        ys = [ONLINE_2019.step(float(v), 0.0, 0.999, 1.0, math.inf, p, state, 3 * i)[0] for i, v in enumerate(x)]
        finish_rows(ys, 1, features, math.nan, math.inf, gamma, beta, compensation(p))
        answers.append(ys)
    np.testing.assert_allclose(np.array(answers)[flat["rows"]], case["y"], rtol=0, atol=1e-10)


@pytest.mark.parametrize("case", flat["cases"], ids=lambda case: case["name"])
def test_the_statistics_are_the_authors(case: dict[str, Any]) -> None:
    p = parameters(case)
    for i, xs in enumerate(flat["x"].T):
        state = [0.0] * 3
        for x in xs:
            ONLINE_2019.step(float(x), 0.0, 0.999, 1.0, math.inf, p, state, 0)
        assert state[1:] == pytest.approx([case["mean"][i], case["var"][i]], rel=0, abs=1e-10)


@pytest.mark.parametrize("case", images["cases"], ids=lambda case: case["name"])
def test_a_channels_outputs_and_statistics_are_the_authors(case: dict[str, Any]) -> None:
    p = parameters(case)
    for c in range(images["x"].shape[1]):
        state = [0.0] * 3
        answers = []
        for image in images["x"][:, c]:
            mean = float(image.mean())
            y, scale = ONLINE_2019.step(mean, float(image.var()), 0.999, 1.0, math.inf, p, state, 0)
            answers.append(y + (image - mean) * scale)
        np.testing.assert_allclose(np.array(answers)[images["rows"]], case["y"][:, c], rtol=0, atol=1e-10)
        assert state[1:] == pytest.approx([case["mean"][c], case["var"][c]], rel=0, abs=1e-10)


def test_before_the_first_reading_the_spread_is_the_papers_start() -> None:
    assert ONLINE_2019.spread((0.999, 1e-5), [0.0] * 3, 0) == (0.0, math.sqrt(1.0 + 1e-5))


def test_robust_bounds_what_is_learned_not_the_answer() -> None:
    state = [1.0, 0.0, 1.0]
    y, _ = ONLINE_2019.step(100.0, 0.0, 0.999, 1.0, 3.0, (0.999, 1e-5), state, 0)
    assert y == pytest.approx(100.0, rel=1e-4)
    assert state[1] == pytest.approx(0.003)
