"""The metrics of the bridge to MQTT."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamnorm.bridges.mqtt.intake import Intake
from streamnorm.bridges.mqtt.outbox import Outbox


def of_bridge(intake: Intake, outbox: Outbox, *, up: bool) -> Iterator[Metric]:
    """Yield the counts of messages received by the `intake`, and of those in the `outbox`; `up`: there is a broker."""
    yield GaugeMetricFamily("streamnorm_mqtt_connected", "1 while there is a broker.", float(up))
    yield CounterMetricFamily("streamnorm_mqtt_taken", "Messages whose readings were observed.", intake.taken)
    refused = CounterMetricFamily(
        "streamnorm_mqtt_refused", "Messages refused, by topic filter and reason.", labels=["filter", "reason"]
    )
    for labels, count in intake.refusals.counts.items():
        refused.add_metric(labels, count)
    yield refused
    ignored = CounterMetricFamily(
        "streamnorm_mqtt_ignored",
        "Messages left alone: retained ones, copies, and what mappings ignore.",
        labels=["reason"],
    )
    for reason in ("retained", "duplicate", "no-reading"):
        ignored.add_metric([reason], intake.ignored[reason])
    yield ignored
    yield CounterMetricFamily("streamnorm_mqtt_published", "Messages that the broker has.", outbox.published)
    yield GaugeMetricFamily("streamnorm_mqtt_waiting", "Messages that wait for the broker.", len(outbox))
    dropped = CounterMetricFamily(
        "streamnorm_mqtt_dropped", "Messages that were not published, by reason.", labels=["reason"]
    )
    for reason in ("full", "too-large", "denied", "invalid-topic"):
        dropped.add_metric([reason], outbox.dropped.counts["", reason])
    yield dropped
