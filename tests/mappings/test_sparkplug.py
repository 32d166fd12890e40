"""Sparkplug B: births tell the names, data may carry aliases alone."""

from __future__ import annotations

from typing import Any

import pytest

from streamnorm.engine.limits import Limits
from streamnorm.errors import InvalidReading
from streamnorm.mappings import Catalogue, Mapping, Message, mapping_of
from streamnorm.mappings.bodies.sparkplug import payload_class

INT16, INT32, FLOAT, BOOLEAN, STRING = 2, 3, 9, 11, 12
TIME = 1_795_338_000_000


def payload(*metrics: dict[str, Any], timestamp: int = TIME) -> bytes:
    """Write a payload."""
    made = payload_class()(timestamp=timestamp, seq=3)
    for metric in metrics:
        made.metrics.add(**metric)
    written: bytes = made.SerializeToString()
    return written


def values(mapping: Mapping, kind: str, body: bytes) -> list[tuple[str, float | None, dict[str, Any]]]:
    """Return what a message makes."""
    found = mapping.readings(Message(body, f"spBv1.0/plant/{kind}/edge-1/press"), Limits())
    return [(stream, one.timestamp, dict(zip(one.names, one.values, strict=True))) for stream, one, _ in found]


@pytest.fixture
def mapping() -> Mapping:
    return mapping_of({"preset": "sparkplug"})


def test_a_birth_and_data_by_name(mapping: Mapping) -> None:
    body = payload(
        {"name": "temp", "datatype": FLOAT, "float_value": 61.25},
        {"name": "running", "datatype": BOOLEAN, "boolean_value": True},
        {"name": "Properties/Version", "datatype": INT32, "int_value": 7},
        {"name": "state", "datatype": STRING, "string_value": "idle"},
    )
    assert values(mapping, "DDATA", body) == [
        ("plant.edge-1.press", TIME / 1000, {"temp": 61.25, "running": 1.0}),
    ]


def test_an_alias_has_the_name_and_the_type_that_the_birth_gave_it(mapping: Mapping) -> None:
    values(mapping, "DBIRTH", payload({"name": "torque", "alias": 5, "datatype": INT16, "int_value": 1}))
    data = payload({"alias": 5, "int_value": 0xFFFE})
    assert values(mapping, "DDATA", data) == [("plant.edge-1.press", TIME / 1000, {"torque": -2.0})]


def test_an_alias_without_a_birth_is_refused_and_the_error_says_what_helps(mapping: Mapping) -> None:
    with pytest.raises(
        InvalidReading, match=r"mapping 'sparkplug': the names of the aliases 5 .* \(Node Control/Rebirth"
    ):
        values(mapping, "DDATA", payload({"alias": 5, "int_value": 1}))


def test_aliases_are_known_after_the_mappings_were_read_anew() -> None:
    catalogue, anew = (Catalogue([{"name": "plant", "preset": "sparkplug"}]) for _ in range(2))
    values(
        catalogue.find("plant"), "DBIRTH", payload({"name": "torque", "alias": 5, "datatype": INT16, "int_value": 1})
    )
    catalogue.become(anew)
    [(_, _, found)] = values(catalogue.find("plant"), "DDATA", payload({"alias": 5, "int_value": 7}))
    assert found == {"torque": 7.0}


def test_metrics_of_several_times_are_several_readings(mapping: Mapping) -> None:
    late = [{"name": "x", "timestamp": TIME + ms, "datatype": FLOAT, "float_value": ms / 4} for ms in (0, 1, 2)]
    assert values(mapping, "DDATA", payload(*late)) == [
        ("plant.edge-1.press", (TIME + ms) / 1000, {"x": ms / 4}) for ms in (0, 1, 2)
    ]


def test_null_is_missing(mapping: Mapping) -> None:
    body = payload({"name": "x", "is_null": True}, {"name": "y", "datatype": INT32, "int_value": 2**32 - 1})
    [(_, _, found)] = values(mapping, "DDATA", body)
    assert str(found) == "{'x': nan, 'y': -1.0}"


def test_an_edge_node_is_a_stream_too_and_commands_are_none(mapping: Mapping) -> None:
    body = payload({"name": "load", "datatype": FLOAT, "float_value": 0.5})
    [(stream, _, _)] = mapping.readings(Message(body, "spBv1.0/plant/NDATA/edge-1"), Limits())
    assert stream == "plant.edge-1"
    assert mapping.matches("spBv1.0/plant/NDATA/edge-1")
    assert not any(mapping.matches(f"spBv1.0/plant/{kind}/edge-1") for kind in ("NCMD", "NDEATH"))


def test_what_is_no_protobuf_is_refused(mapping: Mapping) -> None:
    with pytest.raises(InvalidReading, match="no payload of Sparkplug B"):
        values(mapping, "DDATA", b"\xff\xff\xff\xff")
