"""Kernels are interpreted for as long as that is asked for, to the same bits, and compiled when they are used after."""

from __future__ import annotations

import numpy as np
import pytest

from streamnorm import Normalizer, kernels
from streamnorm.kernels import METHODS, MethodKernel, compile_on_use, interpret, kernel_for


def test_a_stream_that_is_interpreted_first_and_compiled_later_has_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "needs_compiler", lambda: True)
    rows = np.random.default_rng(0).normal(20.0, 3.0, (200, 2))
    changing, compiled = Normalizer(), Normalizer()
    interpret()
    assert not kernel_for("online").compiled
    first = changing.observe_block(rows[:100]).values
    compile_on_use()
    assert kernel_for("online").compiled
    second = changing.observe_block(rows[100:]).values
    np.testing.assert_array_equal(np.concatenate([first, second]), compiled.observe_block(rows).values)
    assert changing.snapshot()["features"] == compiled.snapshot()["features"]


def test_nothing_is_interpreted_where_there_is_no_compiler_to_load() -> None:
    interpret()
    assert kernel_for("online").compiled


def test_a_kernel_without_a_compiler_is_interpreted() -> None:
    assert not MethodKernel(METHODS["online"]).compiled
