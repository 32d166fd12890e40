"""Prometheus metrics, in a separate registry; stream ids are never labels."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import get_args

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from streamnorm.engine.streams.feature_profile import Kind
from streamnorm.events.kinds import INVALID
from streamnorm.ingest import IngestService
from streamnorm.ingest.refusals import Refusals

#: Upper bounds of the latency buckets in seconds: from a single reading to a large block.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: The calls that are distinguished, by the last segment of their paths.
CALLS = frozenset({"readings", "bulk", "denormalize", "snapshot", "profile", "write", "write_lp"})


class Latency:
    """The latency histogram of one call."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Record a request's duration in seconds."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds


class Latencies:
    """The latency histograms of all calls; recording costs a tenth of what the library's histogram does."""

    def __init__(self) -> None:
        self._calls: dict[str, Latency] = {}

    def of(self, call: str) -> Latency:
        """Return the histogram of a call."""
        return self._calls.get(call) or self._calls.setdefault(call, Latency())

    def add(self, path: str, seconds: float) -> None:
        """Record the duration in seconds of a request to a path."""
        last = path[path.rfind("/") + 1 :]
        self.of(last if last in CALLS else "other").add(seconds)

    def family(self) -> Metric:
        """Return the histograms as a Prometheus metric."""
        family = HistogramMetricFamily(
            "streamnorm_request_seconds", "Seconds from a request's head to its answer's end.", labels=["call"]
        )
        for call, latency in sorted(self._calls.items()):
            bounds = (*map(str, BUCKETS), "+Inf")
            buckets = list(zip(bounds, accumulate(latency.counts), strict=True))
            family.add_metric([call], buckets, latency.sum)
        return family


class MetricsCollector(Collector):
    """Collects counters kept elsewhere when scraped, so that the hot path only pays for an addition."""

    def __init__(self, service: IngestService, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Yield the current metrics."""
        stats = self._service.streams.stats()
        yield CounterMetricFamily("streamnorm_readings", "Readings observed.", self._service.observed)
        yield GaugeMetricFamily("streamnorm_streams_resident", "Streams in memory.", stats.resident)
        yield GaugeMetricFamily("streamnorm_streams_evicted", "Streams in the store only.", stats.evicted)
        # the name before 0.3, for one release
        yield GaugeMetricFamily("streamnorm_streams_resting", "The same as streamnorm_streams_evicted.", stats.evicted)
        yield GaugeMetricFamily(
            "streamnorm_store_lag_seconds", "Age of the oldest change that may not be kept yet.", stats.lag
        )
        yield SummaryMetricFamily(
            "streamnorm_commit_seconds", "Seconds that commits took.", stats.commits, stats.commit_seconds
        )
        kinds = GaugeMetricFamily(
            "streamnorm_features", "Features of the streams heard of lately, by kind of sensor.", labels=["kind"]
        )
        for kind in (*get_args(Kind), INVALID):
            kinds.add_metric([kind], self._metrics.kinds()[kind])
        yield kinds
        refusals = CounterMetricFamily(
            "streamnorm_refusals", "Requests refused, by the type of problem.", labels=["reason"]
        )
        for (_, reason), count in self._metrics.refusals.counts.items():
            refusals.add_metric([reason], count)
        yield refusals
        yield GaugeMetricFamily("streamnorm_requests_open", "Requests being worked on.", self._metrics.open())
        yield self._metrics.latencies.family()


class Metrics:
    """The metrics of the `service`; `kinds` counts the features by kind of sensor."""

    def __init__(self, service: IngestService, kinds: Callable[[], Counter[str]] = Counter) -> None:
        self.registry = CollectorRegistry()
        self.latencies = Latencies()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        #: requests refused, by the type of problem
        self.refusals = Refusals()
        self.kinds = kinds
        #: how many requests are being worked on
        self.open: Callable[[], int] = lambda: 0
        self.registry.register(MetricsCollector(service, self))

    def refused(self, reason: str, example: str, payload: bytes | None = None) -> None:
        """Count a rejected request by the type of its problem, `reason`; keep an `example`, and part of a `payload`."""
        self.refusals.add(reason, example, payload=payload)

    def text(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self.registry)
