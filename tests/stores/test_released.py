"""State that released versions wrote is read, and the stream goes on as it did there."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

import streamnorm
from streamnorm.engine.streams.snapshot import restore_stream
from streamnorm.engine.streams.stream import Stream
from streamnorm.stores.codec import decode
from tests.support.engine import LIMITS, observe
from tests.support.released import CONFIGS, FOLDER, LEARNED

#: methods whose arithmetic has changed since: their streams are read and go on, with other answers
CHANGED: dict[str, set[str]] = {"0.1.0": {"adaptive"}, "0.2.0": {"adaptive"}}

CASES = [
    pytest.param(file.stem, name, case, id=f"{file.stem}-{name}")
    for file in sorted(FOLDER.glob("*.json"))
    for name, case in json.loads(file.read_text()).items()
]
every_case = pytest.mark.parametrize(("version", "name", "case"), CASES)


def goes_on(stream: Stream, version: str, name: str, case: dict[str, Any]) -> None:
    """Check that the next readings are answered as the version that wrote the stream did."""
    assert stream.count == LEARNED
    answers = [observe(stream, row, seq=LEARNED + n).values for n, row in enumerate(case["next"])]
    if name in CHANGED.get(version, ()):
        for row, expected in zip(answers, case["answers"], strict=True):
            for value, wanted in zip(row, expected, strict=True):
                missing = np.isnan(np.asarray(wanted, np.float64))
                np.testing.assert_array_equal(np.isnan(np.asarray(value, np.float64)), missing)
        return
    for row, expected in zip(answers, case["answers"], strict=True):
        for value, wanted in zip(row, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(value, np.float64), np.asarray(wanted, np.float64))


@every_case
def test_a_blob_of_a_released_version_is_read_and_goes_on_to_the_bit(
    version: str, name: str, case: dict[str, Any]
) -> None:
    goes_on(decode("a", base64.b64decode(case["blob"])), version, name, case)


@every_case
def test_a_snapshot_of_a_released_version_is_read_and_goes_on_to_the_bit(
    version: str, name: str, case: dict[str, Any]
) -> None:
    goes_on(restore_stream(case["snapshot"], LIMITS), version, name, case)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_method_of_the_first_release_is_among_them(name: str) -> None:
    assert name in json.loads((FOLDER / "0.1.0.json").read_text())


def test_a_released_version_has_its_file() -> None:
    released = [file.stem for file in FOLDER.glob("*.json")]
    assert streamnorm.__version__ in released, "run: make golden"
