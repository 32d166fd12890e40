"""Settings: environment variables and options of `serve` by the same names, checked and told alike."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import Result

import streamnorm
from streamnorm import settings
from streamnorm.cli.serve import settings_options
from streamnorm.engine.limits import Limits
from streamnorm.settings import GROUPS, Settings, unknown_variables
from tests.support.commands import invoke

OTHERS: dict[str, Any] = {
    "host": "::1",
    "port": 9000,
    "data_dir": Path("elsewhere"),
    "store": "memory",
    "store_prefix": "elsewhere",
    "store_replicas": 2,
    "durability": "always",
    "method": "cumulative",
    "horizon": 50.5,
    "warmup": 0,
    "config": "streamnorm.toml",
    "max_reading_bytes": 1,
    "max_block_bytes": 2,
    "max_binary_bytes": 6,
    "max_rows": 3,
    "max_features": 4,
    "max_elements": 5,
    "max_ahead": 0.5,
    "max_resident_streams": 6,
    "max_streams": 7,
    "stream_ttl": 8.5,
    "max_pending_bytes": 9,
    "max_requests": 10,
    "max_requests_per_client": 11,
    "max_live": 12,
    "max_head_bytes": 13,
    "body_timeout": 14.5,
    "body_rate": 15.5,
    "idle_timeout": 16.5,
    "insecure": True,
    "cors_origins": "https://dashboards.example",
    "ssl_certfile": "cert.pem",
    "ssl_keyfile": "key.pem",
    "ssl_keyfile_password": "secret",
    "log_format": "json",
    "mqtt": "mqtt://broker",
    "mqtt_topics": "plant/{stream}",
    "mqtt_preset": "zigbee2mqtt",
    "mqtt_publish": "plant/{stream}/out",
    "mqtt_client_id": "plant",
    "mqtt_discovery": "homeassistant",
    "mqtt_kinds": "plant/{stream}/kind",
    "mqtt_dead_letter": "plant/dead",
    "mqtt_ca": "ca.pem",
    "mqtt_cert": "cert.pem",
    "mqtt_key": "key.pem",
    "mqtt_expire_after": 17.5,
    "forward": "http://influxdb:8086/api/v2/write",
    "forward_token": "secret",
    "forward_username": "user",
    "forward_password": "secret",
    "required_bridges": "mqtt, forward",
    "line_stream": "{measurement}",
    "device": "cpu",
    "log_level": "debug",
}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let no variable of the environment, and no folder, take part."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"STREAMNORM_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def serve(*arguments: str, **environment: str) -> Result:
    """Run `streamnorm serve`, in this process: for what ends before anything is started."""
    env = {"COLUMNS": "200", "NO_COLOR": "1", "TERMINAL_WIDTH": "200", **environment}
    return invoke(["serve", *arguments], env=env)


def test_every_setting_has_a_value_to_be_tested_with() -> None:
    assert set(OTHERS) == set(Settings.model_fields)


@pytest.mark.parametrize(("name", "value"), OTHERS.items(), ids=OTHERS)
def test_a_setting_is_an_environment_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    monkeypatch.setenv(f"STREAMNORM_{name.upper()}", str(value))
    assert getattr(Settings(), name) == value != Settings.model_fields[name].default


@pytest.fixture(scope="module")
def options() -> Mapping[str, inspect.Parameter]:
    """Return the options of `serve`."""
    return settings_options().parameters


@pytest.fixture(scope="module")
def described() -> dict[str, str]:
    """Return what the source says below each setting, as Python's parser has it."""
    groups = {group.__name__ for group in GROUPS}
    module = ast.parse(inspect.getsource(settings)).body
    members = [node.body for node in module if isinstance(node, ast.ClassDef) and node.name in groups]
    return {
        ast.unparse(field.target): ast.literal_eval(below.value)
        for body in members
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr)
    }


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_an_option_with_the_same_default(
    options: Mapping[str, inspect.Parameter], described: dict[str, str], name: str
) -> None:
    option, field = options[name], Settings.model_fields[name]
    (told,) = option.annotation.__metadata__
    assert (option.default, told.envvar) == (field.default, f"STREAMNORM_{name.upper()}")
    assert told.help == described[name]


def test_an_option_goes_before_the_environment() -> None:
    result = serve("--port", "-1", STREAMNORM_PORT="70000")
    assert "greater than or equal to 0" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["--required-bridges", "mqtt,http"], {}, "must name mqtt and forward only, not http"),
        (["--mqtt", "mqtt:user:secret@host"], {}, "--mqtt: '***@host' is no mqtt://"),
        (["--port", "70000"], {}, "--port: must be less than or equal to 65535, not 70000"),
        (["--durability", "daily"], {}, "--durability: must be 'always', 'everysec' or 'no', not 'daily'"),
        (["--horizon", "1"], {}, "--horizon: must be greater than 1, not 1.0"),
        (["--max-rows", "0"], {}, "--max-rows: must be greater than 0, not 0"),
        (["--method", "onlin"], {}, "--method: must be 'online'"),
        (["--horizons", "50"], {}, "No such option: --horizons"),
        (["--warmup", "some"], {}, "Invalid value for '--warmup'"),
        (
            [],
            {"STREAMNORM_STORE": "floppy"},
            "--store: must be 'sqlite', 'memory' or an address that begins with redis://",
        ),
        ([], {"STREAMNORM_PORT": "http"}, "STREAMNORM_PORT"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, (list, dict)) else None,
)
def test_a_bad_option_is_told(arguments: list[str], environment: dict[str, str], told: str) -> None:
    result = serve(*arguments, **environment)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.output


def test_the_version_is_told() -> None:
    result = invoke(["--version"])
    assert (result.exit_code, result.stdout) == (0, f"streamnorm {streamnorm.__version__}\n")


def test_help_shows_every_setting() -> None:
    shown = serve("--help").stdout
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in shown
        assert f"STREAMNORM_{name.upper()}" in shown


def test_a_misspelt_variable_is_warned_about_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    misspelt = {"STREAMNORM_DURABILTY": "always", "STREAMNORM_COLOUR": "red", "STREAMNORM_KEY": "sn_1"}
    result = serve("--data-dir", str(tmp_path / "file"), **misspelt)  # which is no folder: it ends there
    assert "STREAMNORM_DURABILTY is no setting: is STREAMNORM_DURABILITY meant?" in result.stderr
    assert "STREAMNORM_COLOUR is no setting\n" in result.stderr
    assert "STREAMNORM_KEY" not in result.stderr


def test_what_kubernetes_sets_for_a_service_of_that_name_is_no_misspelling() -> None:
    names = ["STREAMNORM_SERVICE_HOST", "STREAMNORM_SERVICE_PORT_HTTP", "STREAMNORM_PORT_8000_TCP_ADDR", "HOME"]
    assert unknown_variables(names) == {}


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


def test_the_defaults_of_streams_and_the_limits_come_from_the_settings() -> None:
    settings = Settings(**OTHERS)
    assert settings.stream_defaults == {"method": "cumulative", "horizon": 50.5, "warmup": 0}
    assert settings.limits == Limits(max_features=4, max_elements=5, max_rows=3, max_ahead=0.5)
