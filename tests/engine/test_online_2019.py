"""A stream of the method `online-2019` answers what its authors' code does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamnorm.engine.streams.stream import Stream
from tests.support.engine import new, observe, observe_rows
from tests.support.golden import golden

flat, images = golden("online_norm_1d"), golden("online_norm_2d")
NAMES = "abcdefgh"

every_flat_case = pytest.mark.parametrize("case", flat["cases"], ids=lambda case: case["name"])
every_image_case = pytest.mark.parametrize("case", images["cases"], ids=lambda case: case["name"])


def stream_of(case: dict[str, Any]) -> Stream:
    affine = {}
    if case.get("gamma") is not None:
        maps = zip(NAMES, case["gamma"], case["beta"], strict=False)
        affine = {name: {"gamma": float(gamma), "beta": float(beta)} for name, gamma, beta in maps}
    return new(
        method="online-2019",
        alpha_fwd=case["alpha_fwd"],
        eps=case["eps"],
        compensation=case.get("compensation", "none").replace("_", "-"),
        affine=affine,
    )


@every_flat_case
def test_a_block_is_answered_as_by_the_authors(case: dict[str, Any]) -> None:
    answers = observe_rows(stream_of(case), flat["x"]).values
    np.testing.assert_allclose(answers[flat["rows"]], case["y"], rtol=0, atol=1e-10)


@every_flat_case
def test_readings_are_answered_as_by_the_authors(case: dict[str, Any]) -> None:
    stream = stream_of(case)
    ys = [observe(stream, dict(zip(NAMES, row, strict=False))).values for row in flat["x"].tolist()]
    np.testing.assert_allclose(np.array(ys, dtype=np.float64)[flat["rows"]], case["y"], rtol=0, atol=1e-10)


@every_image_case
def test_channels_are_answered_as_by_the_authors(case: dict[str, Any]) -> None:
    stream = stream_of(case)
    ys = [observe(stream, dict(zip(NAMES, row, strict=False))).values for row in images["x"]]
    np.testing.assert_allclose(np.array(ys, dtype=np.float64)[images["rows"]], case["y"], rtol=0, atol=1e-10)
