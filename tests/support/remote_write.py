"""Requests of Prometheus's remote write, as its specification says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cramjam

from streamnorm.mappings.bodies.remote_write import write_class

#: labels, and samples with their times in milliseconds
Series = tuple[Mapping[str, str], Sequence[tuple[float, int]]]
NODE = {"instance": "roof:9100", "job": "node"}
HEADERS = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}


def write_request(*series: Series) -> bytes:
    """Write a request."""
    request = write_class()()
    for labels, samples in series:
        one = request.timeseries.add()
        for name, value in labels.items():
            one.labels.add(name=name, value=value)
        for number, time in samples:
            one.samples.add(value=number, timestamp=time)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
