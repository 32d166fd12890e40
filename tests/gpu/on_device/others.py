"""Arrays of other libraries on a real device, by the CUDA array interface; each test needs its library there."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from streamnorm import Normalizer

pytestmark = pytest.mark.gpu
ROWS = np.random.default_rng(0).normal(20.0, 3.0, (5000, 3))


class Library(NamedTuple):
    """How arrays go to the device and back, and how work is done out of turn, in a stream of one's own."""

    there: Callable[[Any], Any]
    here: Callable[[Any], Any]
    stream: Callable[[], Any]


def cupy() -> Library:
    library: Any = pytest.importorskip("cupy")
    return Library(library.asarray, library.asnumpy, lambda: library.cuda.Stream(non_blocking=True))


def torch() -> Library:
    library: Any = pytest.importorskip("torch")
    there, back = lambda array: library.as_tensor(array, device="cuda"), lambda array: array.cpu().numpy()
    return Library(there, back, lambda: library.cuda.stream(library.cuda.Stream()))


@pytest.fixture(params=[cupy, torch], ids=["CuPy", "PyTorch"])
def library(request: pytest.FixtureRequest) -> Library:
    found: Library = request.param()
    return found


@pytest.mark.parametrize("kind", ["f8", "f4"])
def test_an_array_is_taken_and_the_answer_goes_back_without_a_copy(library: Library, kind: str) -> None:
    given = library.there(ROWS.astype(kind))
    answer = Normalizer().observe_block(given).values
    back = library.there(answer)
    assert answer.__cuda_array_interface__["data"][0] == back.__cuda_array_interface__["data"][0]
    expected = Normalizer().observe_block(ROWS.astype(kind).astype("f8")).values
    tolerance = 1e-12 if kind == "f8" else 1e-6
    np.testing.assert_allclose(library.here(back), expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(library.here(given), ROWS.astype(kind))


def test_work_in_a_stream_of_cupys_is_waited_for() -> None:
    library, numbers = cupy(), importlib.import_module("cupy")
    with library.stream():
        slow = numbers.random.default_rng(0).normal(size=(3000, 3000))
        for _ in range(20):
            slow = slow @ slow / 3000.0
        given = numbers.asarray(ROWS) + 0.0 * slow[0, 0]
        answer = Normalizer().observe_block(given).values
    expected = Normalizer().observe_block(ROWS).values
    np.testing.assert_allclose(library.here(library.there(answer)), expected, rtol=1e-12, atol=1e-12)
