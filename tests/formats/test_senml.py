"""SenML, by the examples of RFC 8428, section 5.1 and section 6."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest

from streamnorm.engine.limits import Limits
from streamnorm.errors import InvalidReading
from streamnorm.formats.senml import Record, answered, numbered, readings, resolved

NOW = 1_700_000_000.0
OW = "urn:dev:ow:10e2073a01080063"

# 5.1.2, the second example
CURRENT = [
    {"bn": "urn:dev:ow:10e2073a0108006:", "bt": 1.276020076001e09, "bu": "A", "bver": 5}
    | {"n": "voltage", "u": "V", "v": 120.1},
    {"n": "current", "t": -5, "v": 1.2},
    {"n": "current", "t": -4, "v": 1.3},
    {"n": "current", "t": -3, "v": 1.4},
    {"n": "current", "t": -2, "v": 1.5},
    {"n": "current", "t": -1, "v": 1.6},
    {"n": "current", "v": 1.7},
]
# 5.1.3
MOVING = [
    {"bn": OW, "bt": 1.320067464e09, "bu": "%RH", "v": 20},
    {"u": "lon", "v": 24.30621},
    {"u": "lat", "v": 60.07965},
    {"t": 60, "v": 20.3},
    {"u": "lon", "t": 60, "v": 24.30622},
    {"u": "lat", "t": 60, "v": 60.07965},
    {"t": 120, "v": 20.7},
    {"u": "lon", "t": 120, "v": 24.30623},
    {"u": "lat", "t": 120, "v": 60.07966},
    {"u": "%EL", "t": 150, "v": 98},
    {"t": 180, "v": 21.2},
    {"u": "lon", "t": 180, "v": 24.30628},
    {"u": "lat", "t": 180, "v": 60.07967},
]
# 5.1.4: the same, resolved
MOVED = [
    (OW, "%RH", 1.320067464e09, 20),
    (OW, "lon", 1.320067464e09, 24.30621),
    (OW, "lat", 1.320067464e09, 60.07965),
    (OW, "%RH", 1.320067524e09, 20.3),
    (OW, "lon", 1.320067524e09, 24.30622),
    (OW, "lat", 1.320067524e09, 60.07965),
    (OW, "%RH", 1.320067584e09, 20.7),
    (OW, "lon", 1.320067584e09, 24.30623),
    (OW, "lat", 1.320067584e09, 60.07966),
    (OW, "%EL", 1.320067614e09, 98),
    (OW, "%RH", 1.320067644e09, 21.2),
    (OW, "lon", 1.320067644e09, 24.30628),
    (OW, "lat", 1.320067644e09, 60.07967),
]
# 5.1.5
KINDS = [
    {"bn": f"{OW}:", "n": "temp", "u": "Cel", "v": 23.1},
    {"n": "label", "vs": "Machine Room"},
    {"n": "open", "vb": False},
    {"n": "nfc-reader", "vd": "aGkgCg"},
]
# 5.1.6
RESOURCES = [
    {"bn": "2001:db8::2/", "bt": 1.320078429e09, "n": "temperature", "u": "Cel", "v": 27.2},
    {"n": "humidity", "u": "%RH", "v": 80},
    {"bn": "2001:db8::1/", "n": "temperature", "u": "Cel", "v": 12.3},
    {"n": "humidity", "u": "%RH", "v": 67},
]
# section 6: 5.1.2's second example in CBOR
CBOR = bytes.fromhex(
    "87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b00106223614120050067766f6c7461676501"
    "615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333a3006763757272656e74062302fb3ff4cccccccccccda3"
    "006763757272656e74062202fb3ff6666666666666a3006763757272656e74062102f93e00a3006763757272656e74062002fb3ff999999999"
    "999aa3006763757272656e74060002fb3ffb333333333333"
)


def values(pack: object) -> list[tuple[str, str, float, float | None]]:
    """Resolve a pack to what the RFC prints of it."""
    return [(record.name, record.unit, record.time, record.value) for record in resolved(pack, NOW)]


def test_a_single_data_point() -> None:
    assert values([{"n": OW, "u": "Cel", "v": 23.1}]) == [(OW, "Cel", NOW, 23.1)]


def test_multiple_data_points_of_now() -> None:
    pack = [{"bn": f"{OW}:", "n": "voltage", "u": "V", "v": 120.1}, {"n": "current", "u": "A", "v": 1.2}]
    assert values(pack) == [(f"{OW}:voltage", "V", NOW, 120.1), (f"{OW}:current", "A", NOW, 1.2)]


def test_multiple_data_points_around_a_base_time() -> None:
    assert [(unit, time - 1.276020076001e09, value) for _, unit, time, value in values(CURRENT)] == [
        ("V", 0, 120.1), ("A", -5, 1.2), ("A", -4, 1.3), ("A", -3, 1.4), ("A", -2, 1.5), ("A", -1, 1.6), ("A", 0, 1.7)
    ]  # fmt: skip


def test_multiple_measurements_are_resolved_as_the_rfc_resolves_them() -> None:
    assert values(MOVING) == MOVED


def test_resolved_data_resolve_to_themselves() -> None:
    pack = [{"n": name, "u": unit, "t": time, "v": value} for name, unit, time, value in MOVED]
    assert values(pack) == MOVED


def test_multiple_data_types_are_numbers_or_stay_what_they_are() -> None:
    found = [(record.value, record.rest) for record in resolved(KINDS, NOW)]
    assert found == [(23.1, {}), (None, {"vs": "Machine Room"}), (0.0, {}), (None, {"vd": "aGkgCg"})]


def test_a_collection_of_resources_changes_its_base_name() -> None:
    assert [name for name, *_ in values(RESOURCES)] == [
        "2001:db8::2/temperature", "2001:db8::2/humidity", "2001:db8::1/temperature", "2001:db8::1/humidity"
    ]  # fmt: skip


def test_an_actuator_is_set_by_a_base_of_its_own() -> None:
    pack = [{"bn": f"{OW}:"}, {"n": "temp", "v": 23.1}, {"n": "heat", "u": "/", "v": 1}, {"n": "fan", "u": "/", "v": 0}]
    assert [name for name, *_ in values(pack)] == [f"{OW}:temp", f"{OW}:heat", f"{OW}:fan"]


def test_cbor_says_what_json_says() -> None:
    assert resolved(cbor2.loads(CBOR), NOW) == resolved(CURRENT, NOW)


def test_an_answer_in_cbor_has_the_labels_of_cbor() -> None:
    pack = answered(resolved(CURRENT, NOW), {0: 0.5})
    assert resolved(numbered(pack), NOW)[0] == Record("urn:dev:ow:10e2073a0108006:voltage", "", 1276020076.001, 0.5)


def test_records_of_one_time_are_one_reading() -> None:
    found = readings(resolved(CURRENT, NOW), Limits())
    first = found[0].reading
    assert ([len(each.reading.names) for each in found], first.names[1][-7:], first.values) == (
        [2, 1, 1, 1, 1, 1], "current", [120.1, 1.7]
    )  # fmt: skip


def test_one_name_in_several_units_is_several_features() -> None:
    first = readings(resolved(MOVING, NOW), Limits())[0]
    assert (first.reading.names, first.records) == ((f"{OW}[%RH]", f"{OW}[lon]", f"{OW}[lat]"), [0, 1, 2])


def test_a_name_twice_at_one_time_begins_another_reading() -> None:
    pack = [{"bn": OW, "v": 1}, {"v": 2}]
    assert [each.reading.values for each in readings(resolved(pack, NOW), Limits())] == [[1.0], [2.0]]


def test_base_values_and_sums_add_up() -> None:
    found = resolved([{"bn": "a", "bv": 20, "v": 1.5}, {"t": 1}, {"n": "b", "bs": 100, "s": 5, "v": 2}], NOW)
    assert [(record.value, record.rest) for record in found] == [(21.5, {}), (20.0, {}), (22.0, {"s": 105.0})]


def test_times_of_a_few_years_and_less_are_relative_to_now() -> None:
    times = [-10, 0, 2**28 - 1]
    assert [record.time - NOW for record in resolved([{"n": "a", "t": t, "v": 1} for t in times], NOW)] == times


def test_the_answer_has_the_numbers_replaced_and_no_unit() -> None:
    pack = answered(resolved(KINDS, NOW), {0: -0.5, 2: float("nan")})
    assert pack == [
        {"n": f"{OW}:temp", "t": NOW, "v": -0.5},
        {"n": f"{OW}:label", "t": NOW, "vs": "Machine Room"},
        {"n": f"{OW}:nfc-reader", "t": NOW, "vd": "aGkgCg"},
    ]


def test_labels_that_are_not_known_are_passed_over() -> None:
    assert values([{"n": "a", "v": 1, "colour": "red", 99: 1}]) == [("a", "", NOW, 1.0)]


def test_a_pack_of_lwm2m_has_a_slash_in_front_and_links_that_are_passed_over() -> None:
    pack = [
        {"bn": "/3303/0/", "bt": 1.320078429e09, "n": "5700", "v": 21.4},
        {"n": "5701", "vs": "Cel"},
        {"n": "5850", "vb": True},
        {"n": "9001", "vlo": "3303:1"},
    ]
    assert [(record.name, record.value, record.rest) for record in resolved(pack, NOW)] == [
        ("/3303/0/5700", 21.4, {}),
        ("/3303/0/5701", None, {"vs": "Cel"}),
        ("/3303/0/5850", 1.0, {}),
    ]


@pytest.mark.parametrize(
    "pack",
    [
        {}, [], "a", [1], [{}, {"v": 1}], [{"n": "a"}], [{"n": "a", "v": "1"}], [{"n": "a", "v": True}],
        [{"n": "a", "vb": 1}], [{"n": "a b", "v": 1}], [{"n": "-a", "v": 1}], [{"n": 5, "v": 1}],
        [{"n": "a", "v": 1, "vs": "x"}], [{"bver": 11, "n": "a", "v": 1}], [{"n": "a", "v": 1, "must_": 1}],
    ],
)  # fmt: skip
def test_what_breaks_the_rfcs_rules_is_refused(pack: Any) -> None:
    with pytest.raises(InvalidReading):
        resolved(pack, NOW)
