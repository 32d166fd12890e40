"""The river transformer keeps to river's rules and to the engine's bits."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from streamnorm import Normalizer
from streamnorm.adapters.river import StreamNormalizer
from streamnorm_client import Client
from tests.support.processes import Service

ROWS = np.random.default_rng(0).normal(20, 3, (100, 2))
FRAME = pd.DataFrame(ROWS, columns=["a", "b"])


def test_rivers_own_checks_pass(subtests: pytest.Subtests) -> None:
    from river import checks  # noqa: PLC0415 - takes long, and not every process of tests comes here

    found = list(checks.yield_checks(StreamNormalizer()))
    for check in found:
        with subtests.test(check.__name__):
            check(StreamNormalizer())
    assert found


def test_learning_many_teaches_what_learning_one_by_one_does() -> None:
    one, many = StreamNormalizer({"horizon": 50}), StreamNormalizer({"horizon": 50})
    for x in FRAME.to_dict("records"):
        one.learn_one({str(name): value for name, value in x.items()})
    many.learn_many(FRAME)
    pd.testing.assert_frame_equal(one.transform_many(FRAME), many.transform_many(FRAME), check_exact=True)


def test_transforming_many_gives_what_one_by_one_gives() -> None:
    scaler = StreamNormalizer()
    scaler.learn_many(FRAME)
    one = [scaler.transform_one({"a": a, "b": b}) for a, b in ROWS.tolist()]
    assert scaler.transform_many(FRAME).to_dict("records") == one


def test_the_engine_gives_the_same() -> None:
    scaler, normalizer = StreamNormalizer(), Normalizer()
    scaler.learn_one({"a": 1.0})
    scaler.learn_one({"a": 3.0})
    normalizer.observe({"a": 1.0})
    normalizer.observe({"a": 3.0})
    assert scaler.transform_one({"a": 3.0}) == normalizer.normalize({"a": 3.0}).values


def test_a_feature_never_seen_is_0_and_a_missing_one_stays_missing() -> None:
    answer = StreamNormalizer().transform_one({"new": 3.0, "gone": math.nan})
    assert (answer["new"], math.isnan(answer["gone"])) == (0.0, True)


def test_it_stands_before_a_model() -> None:
    from river import compose, linear_model  # noqa: PLC0415 - as above

    model = compose.Pipeline(StreamNormalizer(), linear_model.LinearRegression())
    for a, b in ROWS.tolist() * 10:
        model.predict_one({"a": a, "b": b})
        model.learn_one({"a": a, "b": b}, 2 * a - b)
    assert model.predict_one({"a": 20.0, "b": 20.0}) == pytest.approx(20.0, abs=2.0)


def test_a_stream_of_a_service_gives_what_the_process_gives(service: Service) -> None:
    with Client(service.url) as client:
        remote = StreamNormalizer({"horizon": 50}, client.stream("river")).clone()
        local = StreamNormalizer({"horizon": 50})
        for scaler in (remote, local):
            scaler.learn_many(FRAME)
            scaler.learn_one({"a": 1.0, "b": 2.0})
        assert remote.transform_one({"a": 20.0, "b": 21.0}) == local.transform_one({"a": 20.0, "b": 21.0})


def test_a_reading_of_nothing_is_nothing() -> None:
    scaler = StreamNormalizer()
    scaler.learn_one({})
    assert scaler.transform_one({}) == {}


def test_true_and_false_are_one_and_nothing() -> None:
    scaler, numbers = StreamNormalizer(), StreamNormalizer()
    for value in (True, False, True):
        scaler.learn_one({"a": value})
        numbers.learn_one({"a": float(value)})
    assert scaler.transform_one({"a": True}) == numbers.transform_one({"a": 1.0})
