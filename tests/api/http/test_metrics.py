"""The histograms of how long requests take."""

from __future__ import annotations

from streamnorm.api.http.metrics import Latencies


def test_a_bucket_counts_the_requests_that_took_no_longer_than_its_bound() -> None:
    latencies, took = Latencies(), [0.0001, 0.0005, 0.0021, 0.003, 0.04, 0.3, 0.9, 2.0, 10.0, 11.0]
    for seconds in took:
        latencies.add("/v1/streams/boiler-7/readings", seconds)
    samples = latencies.family().samples
    bounds = {float(sample.labels["le"]): sample.value for sample in samples if sample.name.endswith("_bucket")}
    assert bounds == {bound: sum(seconds <= bound for seconds in took) for bound in bounds}
    assert len(bounds) > 10


def test_requests_are_told_apart_by_the_call_that_their_path_ends_with() -> None:
    latencies = Latencies()
    for path in ("/v1/streams/boiler-7/readings", "/v1/streams/a/bulk", "/v1/bulk", "/v1/streams/readings/config"):
        latencies.add(path, 0.25)
    samples = latencies.family().samples
    sums = {sample.labels["call"]: sample.value for sample in samples if sample.name.endswith("_sum")}
    assert sums == {"bulk": 0.5, "other": 0.25, "readings": 0.25}
