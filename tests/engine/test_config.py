"""A configuration is one flat object; what is wrong with it is named by its place."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from streamnorm.engine.configuration.config import DEFAULT_HORIZON, DEFAULT_WARMUP, configuration, key_of
from streamnorm.engine.configuration.plan import plan
from streamnorm.errors import InvalidConfiguration
from streamnorm.kernels import METHODS


def pointers(data: dict[str, Any], defaults: dict[str, Any] | None = None) -> list[str]:
    """Return the places an error names."""
    with pytest.raises(InvalidConfiguration) as caught:
        configuration(data, defaults or {})
    return [fault.pointer for fault in caught.value.faults]


def test_the_default_method_is_online() -> None:
    assert configuration({}, {}).method == "online"


def test_the_default_horizon_is_a_thousand_readings() -> None:
    assert configuration({}, {}).horizon == DEFAULT_HORIZON == 1000.0


def test_the_default_warmup_is_32_readings() -> None:
    assert configuration({}, {}).warmup == DEFAULT_WARMUP == 32


def test_nothing_is_clamped_bounded_filled_or_mapped_by_default() -> None:
    config = configuration({}, {})
    assert (config.clamp, config.robust, config.missing, config.affine) == (None, None, "null", {})


def test_the_services_defaults_fill_what_is_not_given() -> None:
    assert configuration({"warmup": 5}, {"horizon": 50.0, "warmup": 7}).model_dump(include={"horizon", "warmup"}) == {
        "horizon": 50.0,
        "warmup": 5,
    }


def test_a_time_constant_takes_the_place_of_the_default_horizon() -> None:
    assert configuration({"time_constant": 60.0}, {"horizon": 50.0}).horizon is None


def test_a_horizon_takes_the_place_of_the_default_time_constant() -> None:
    assert configuration({"horizon": 50.0}, {"time_constant": 60.0}).time_constant is None


def test_nulls_stand_for_the_defaults_of_the_method() -> None:
    assert configuration({"horizon": None, "time_constant": None}, {}).horizon == DEFAULT_HORIZON


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_has_a_configuration(method: str) -> None:
    assert configuration({"method": method}, {}).method == method


@pytest.mark.parametrize("method", ["", "Online", "magic", None, 7, ["online"], {}])
def test_an_unknown_method_is_refused(method: object) -> None:
    assert pointers({"method": method}) == ["/method"]


def test_the_error_of_an_unknown_method_names_the_known_ones() -> None:
    with pytest.raises(InvalidConfiguration, match="'magic'; known are online, "):
        configuration({"method": "magic"}, {})


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("horizon", 1.0),
        ("horizon", 0),
        ("horizon", -5.0),
        ("horizon", True),
        ("horizon", "1000"),
        ("horizon", math.inf),
        ("horizon", math.nan),
        ("horizon", 1e13),
        ("horizon", 10**400),
        ("time_constant", 0.0),
        ("time_constant", -1.0),
        ("time_constant", math.nan),
        ("warmup", -1),
        ("warmup", 1.5),
        ("warmup", "32"),
        ("warmup", 1_000_001),
        ("clamp", 0.0),
        ("clamp", -3.0),
        ("clamp", math.inf),
        ("robust", 0.5),
        ("robust", 1.0),
        ("robust", -3.0),
        ("robust", math.nan),
        ("missing", "zero"),
        ("missing", None),
        ("affine", []),
        ("affine", None),
        ("horizons", 5.0),
    ],
)
def test_a_parameter_out_of_limits_is_named(parameter: str, value: object) -> None:
    assert pointers({parameter: value}) == [f"/{parameter}"]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("horizon", 1.5),
        ("horizon", 1e12),
        ("warmup", 0),
        ("warmup", 1_000_000),
        ("clamp", 1e-300),
        ("clamp", 1e9),
        ("robust", 1.5),
        ("robust", 1e9),
    ],
)
def test_a_parameter_at_its_limits_is_taken(parameter: str, value: float) -> None:
    assert getattr(configuration({parameter: value}, {}), parameter) == value


def test_every_wrong_parameter_is_named() -> None:
    assert sorted(pointers({"horizon": 0, "warmup": -1, "colour": "red"})) == ["/colour", "/horizon", "/warmup"]


def test_a_wrong_affine_map_is_named_down_to_its_part() -> None:
    assert pointers({"affine": {"temp": {"gamma": "two"}}}) == ["/affine/temp/gamma"]


def test_a_features_name_is_escaped_in_the_pointer() -> None:
    assert pointers({"affine": {"a/b~c": {"beta": None}}}) == ["/affine/a~1b~0c/beta"]


def test_an_affine_map_has_gamma_and_beta_only() -> None:
    assert pointers({"affine": {"temp": {"delta": 1.0}}}) == ["/affine/temp/delta"]


def test_horizon_and_time_constant_exclude_each_other() -> None:
    with pytest.raises(InvalidConfiguration, match="horizon and time_constant exclude each other"):
        configuration({"horizon": 5.0, "time_constant": 5.0}, {})


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"online", "adaptive"}))
def test_only_online_and_adaptive_forget_by_time(method: str) -> None:
    with pytest.raises(InvalidConfiguration, match="time_constant belongs to the methods online and adaptive"):
        configuration({"method": method, "time_constant": 60.0}, {})


def test_a_wrong_default_is_named_too() -> None:
    assert pointers({}, {"warmup": -1}) == ["/warmup"]


def test_a_configuration_comes_back_from_its_key() -> None:
    config = configuration({"horizon": 0.1 + 7, "affine": {"b": {"gamma": 2.0}, "a": {}}, "clamp": 3.0}, {})
    assert configuration(json.loads(key_of(config)), {}) == config


def test_equal_configurations_share_one_plan() -> None:
    assert plan(configuration({"horizon": 50}, {})) is plan(configuration({}, {"horizon": 50.0}))


def test_a_horizon_is_a_decay_a_reading() -> None:
    assert plan(configuration({"horizon": 50.0}, {})).rule[0] == 1.0 - 1.0 / 50.0


def test_cumulative_forgets_nothing() -> None:
    assert plan(configuration({"method": "cumulative"}, {})).rule[0] == 1.0
