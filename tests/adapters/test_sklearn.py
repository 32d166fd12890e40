"""The scikit-learn transformer keeps to scikit-learn's rules and to the engine's bits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from streamnorm import Normalizer
from streamnorm.adapters.sklearn import StreamNormalizer
from streamnorm.errors import CannotInvert
from streamnorm_client import Client
from tests.support.processes import Service

ROWS = np.random.default_rng(0).normal(20, 3, (200, 3))


@pytest.mark.filterwarnings("ignore")  # the checks provoke warnings on purpose
def test_scikit_learns_own_checks_pass() -> None:
    results = check_estimator(StreamNormalizer(), on_skip=None)
    assert {result["check_name"] for result in results if result["status"] == "skipped"} <= {"check_array_api_input"}


def test_the_parts_of_a_stream_teach_what_the_whole_does() -> None:
    whole = StreamNormalizer(horizon=50).fit(ROWS)
    parts = StreamNormalizer(horizon=50)
    for part in np.array_split(ROWS, 7):
        parts.partial_fit(part)
    assert parts.transform(ROWS).tobytes() == whole.transform(ROWS).tobytes()


def test_fit_forgets_what_was_before() -> None:
    scaler = StreamNormalizer().fit(ROWS + 100).fit(ROWS)
    np.testing.assert_array_equal(scaler.transform(ROWS), StreamNormalizer().fit(ROWS).transform(ROWS))


def test_cumulative_statistics_are_those_of_a_standard_scaler() -> None:
    ours = StreamNormalizer(method="cumulative").fit_transform(ROWS)
    np.testing.assert_allclose(ours, StandardScaler().fit_transform(ROWS), rtol=1e-9, atol=1e-12)


def test_observing_gives_what_the_engine_gives() -> None:
    expected = Normalizer().observe_block(ROWS).values
    assert StreamNormalizer().observe(ROWS).tobytes() == expected.tobytes()


def test_the_inverse_undoes_the_transformation() -> None:
    affine = {"0": {"gamma": 2.0, "beta": 1.0}}
    scaler = StreamNormalizer(parameters={"affine": affine}).fit(ROWS)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(ROWS)), ROWS)


def test_missing_values_stay_missing() -> None:
    rows = ROWS.copy()
    rows[3, 1] = np.nan
    assert np.isnan(StreamNormalizer().fit_transform(rows)).sum() == 1


def test_a_frame_gives_the_features_their_names() -> None:
    scaler = StreamNormalizer().fit(pd.DataFrame(ROWS, columns=["a", "b", "c"]))
    assert (list(scaler.get_feature_names_out()), scaler.normalizer_.features) == (["a", "b", "c"], ("a", "b", "c"))


def test_pipelines_give_frames_where_they_are_asked_to() -> None:
    pipeline = make_pipeline(StreamNormalizer()).set_output(transform="pandas")
    assert list(pipeline.fit_transform(pd.DataFrame(ROWS, columns=["a", "b", "c"])).columns) == ["a", "b", "c"]


def test_a_time_constant_takes_the_place_of_the_horizon() -> None:
    scaler = StreamNormalizer(parameters={"time_constant": 60.0}).fit(ROWS)
    assert scaler.normalizer_.config["horizon"] is None


def test_a_stream_of_a_service_gives_what_the_process_gives(service: Service) -> None:
    with Client(service.url) as client:
        remote = clone(StreamNormalizer(horizon=50, stream=client.stream("sklearn"))).fit(ROWS)
        local = StreamNormalizer(horizon=50).fit(ROWS)
        np.testing.assert_array_equal(remote.transform(ROWS), local.transform(ROWS))
        np.testing.assert_allclose(remote.inverse_transform(remote.transform(ROWS)), ROWS)
        np.testing.assert_array_equal(remote.observe(ROWS), local.observe(ROWS))


@pytest.mark.parametrize(
    "parameters",
    [{"method": "online-2019", "compensation": "layer-scaling"}, {"affine": {"1": {"gamma": 0.0}}}],
    ids=repr,
)
def test_what_the_engine_cannot_turn_back_is_refused_here_too(parameters: dict[str, object]) -> None:
    scaler = StreamNormalizer(parameters=parameters).fit(ROWS)
    with pytest.raises(CannotInvert):
        scaler.inverse_transform(scaler.transform(ROWS))


def test_a_constant_column_turns_back_where_nothing_differs_from_it() -> None:
    rows = np.column_stack([ROWS, np.full(len(ROWS), 24.0)])
    scaler = StreamNormalizer().fit(rows)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(rows)), rows)
    with pytest.raises(CannotInvert, match="/values/3"):
        scaler.inverse_transform(scaler.transform(rows + 1.0))


def test_a_column_never_seen_turns_back_into_nothing() -> None:
    rows = ROWS.copy()
    rows[:, 1] = np.nan
    scaler = StreamNormalizer().fit(rows)
    assert np.isnan(scaler.inverse_transform(ROWS)).all(axis=0).tolist() == [False, True, False]
