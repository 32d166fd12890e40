"""`streamnorm check`: what a file means, and what is wrong with it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema_rs import Draft202012Validator, meta
from typer.testing import Result

from tests.support.commands import invoke

PAGE = Path(__file__).parents[1] / "docs" / "rules.md"
FILE = """\
[[rules]]
streams = "boiler-*"
features = "door*"
horizon = 20000

[[rules]]
warmup = 16
window = 64

[[rules]]
features = "*temperature*"
method = "adaptive"
time_constant = "1d"
unit = "°C"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "streamnorm.toml"
    path.write_text(FILE)
    return path


def check(*options: object) -> Result:
    return invoke(["check", *map(str, options)])


def test_a_file_without_a_fault_is_counted(file: Path) -> None:
    result = check(file)
    assert result.exit_code == 0
    assert result.output == f"{file}: 3 rules, 0 mappings, no fault\n"


def test_faults_are_told_with_their_lines_and_by_the_exit_status(file: Path) -> None:
    file.write_text(FILE.replace("20000", "0").replace("unit", "units"))
    result = check(file)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "streamnorm.toml:4: /rules/0/horizon: must be greater than 1, not 0",
        "streamnorm.toml:14: /rules/2/units: is unknown",
    ]


def test_every_parameter_of_a_feature_is_told_with_the_line_that_says_so(file: Path) -> None:
    lines = check(file, "--stream", "boiler-7", "--feature", "door_2").output.splitlines()
    assert "  horizon       = 20000.0  (line 4)" in lines
    assert "  warmup        = 16  (line 7)" in lines
    assert '  method        = "online"  (default)' in lines
    elsewhere = check(file, "--stream", "cellar", "--feature", "door_2").output
    assert "horizon       = 1000.0  (default)" in elsewhere


def test_what_a_method_does_not_have_or_another_rule_replaced_is_told(file: Path) -> None:
    output = check(file, "--stream", "x", "--feature", "out_temperature").output
    assert "  time_constant = 86400.0  (line 13)" in output
    assert output.splitlines()[-3:] == [
        "not used by the method adaptive, or replaced:",
        "  horizon (default)",
        "  window (line 8)",
    ]


def test_of_a_stream_it_is_told_which_features_are_treated_otherwise(file: Path) -> None:
    output = check(file, "--stream", "boiler-7").output
    assert output.splitlines()[-3:-1] == ["and of some features:", "  line 1: horizon = 20000 for door*"]


def test_the_file_of_the_service_is_checked_where_none_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMNORM_CONFIG", str(file))
    assert check().output.endswith("no fault\n")


def test_the_page_on_rules_shows_what_the_command_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text()
    monkeypatch.chdir(tmp_path)
    (rules,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "streamnorm.toml").write_text(rules)
    ((command, output),) = re.findall(r"```console\n\$ streamnorm check (.*?)\n(.*?)```", page, re.DOTALL)
    assert check(*command.split()).output == output


def test_a_command_that_lacks_something_is_told() -> None:
    assert check().exit_code == 2
    assert "STREAMNORM_CONFIG" in check().stderr
    assert check("x.toml", "--feature", "door").exit_code == 2
    assert check("nowhere.toml").exit_code == 1


def test_the_schema_takes_what_the_check_takes() -> None:
    schema = json.loads(check("--schema").output)
    meta.validate(schema)
    validator = Draft202012Validator(schema)
    rules = [{"streams": "a*", "horizon": 5}, {"features": "b", "time_constant": "6h", "method": "adaptive"}]
    assert validator.is_valid({"rules": rules, "mappings": [{"name": "roof"}]})
    for wrong in ({"horizon": 0}, {"methods": "online"}, {"time_constant": "1 week"}, {"transform": "sqrt"}):
        assert not validator.is_valid({"rules": [wrong]})
    assert not validator.is_valid({"rule": []})
