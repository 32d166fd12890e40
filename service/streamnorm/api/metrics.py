"""Counters for Prometheus, in a registry of their own: no stream ids as labels."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from streamnorm.service import Service


class ServiceCollector(Collector):
    """What the service counts itself, read when asked for: counting then costs the hot path an addition."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        """Give the counters as they are now."""
        yield CounterMetricFamily("streamnorm_readings", "Readings observed.", self._service.observed)


class Metrics:
    """What the service counts."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.registry.register(ServiceCollector(service))
        self.refusals = Counter(
            "streamnorm_refusals", "Requests refused, by the type of problem.", ["reason"], registry=self.registry
        )

    def text(self) -> bytes:
        """Give the counters in Prometheus' text format."""
        return generate_latest(self.registry)
