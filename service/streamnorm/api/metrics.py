"""Counters for Prometheus, in a registry of their own: no stream ids as labels."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, PlatformCollector, ProcessCollector, generate_latest


class Metrics:
    """What the service counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.readings = Counter("streamnorm_readings", "Readings observed.", registry=self.registry)
        self.refusals = Counter(
            "streamnorm_refusals", "Requests refused, by the type of problem.", ["reason"], registry=self.registry
        )

    def text(self) -> bytes:
        """Give the counters in Prometheus' text format."""
        return generate_latest(self.registry)
