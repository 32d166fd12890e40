"""The file `streamnorm.toml`: what it says, and on which line it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamnorm import config_file
from streamnorm.errors import InvalidConfigFile

FILE = Path("streamnorm.toml")
GOOD = """\
# [[rules]] in a comment is none
[[rules]]
streams = "boiler-*"
features = "door*"   # rarely opened
horizon = 20000

[[rules]]
features = "*temperature*"
valid = [-40, 80]
missing_codes = [
    85.0,
    -127.0,
]
method = "adaptive"
time_constant = "1d"
unit = "°C"

[[mappings]]
name = "lorawan"
hint = \"\"\"
[[rules]]
\"\"\"
include = ["*"]

[mappings.states]
ON = 1
"""


def faults(text: str) -> list[tuple[int, str, str]]:
    """Return what is wrong in a text, by line."""
    with pytest.raises(InvalidConfigFile) as caught:
        config_file.parse(text, FILE)
    return list(caught.value.lines)


def test_rules_keep_their_order_and_their_parameters() -> None:
    first, second = config_file.parse(GOOD, FILE).rules.rules
    assert (first.streams, first.layer.features, first.layer.parameters) == ("boiler-*", "door*", {"horizon": 20000})
    assert second.streams == "*"
    assert second.layer.parameters["time_constant"] == "1d"


def test_tables_of_mappings_are_kept_with_the_lines_of_their_keys() -> None:
    (mapping,) = config_file.parse(GOOD, FILE).mapping_tables
    assert mapping.data["states"] == {"ON": 1}
    assert (mapping.pointer, mapping.line) == ("/mappings/0", 18)
    assert {key: mapping.lines[key] for key in ("name", "include", "states")} == {
        "name": 19,
        "include": 23,
        "states": 25,
    }


def test_every_fault_of_a_file_is_told_at_once_with_its_line() -> None:
    wrong = GOOD.replace("20000", "0").replace('"1d"', '"1 week"').replace("unit", "units")
    assert faults(wrong) == [
        (5, "/rules/0/horizon", "must be greater than 1, not 0"),
        (15, "/rules/1/time_constant", 'must be seconds, or a text such as "90s", "15m", "6h" or "1d"'),
        (16, "/rules/1/units", "is unknown"),
    ]


def test_an_error_reads_like_a_compilers() -> None:
    with pytest.raises(
        InvalidConfigFile, match=r"^streamnorm\.toml:5: /rules/0/horizon: must be greater than 1, not 0$"
    ):
        config_file.parse(GOOD.replace("20000", "0"), FILE)


@pytest.mark.parametrize(
    ("text", "line", "pointer"),
    [
        ("[[rules]]\nhorizon = \n", 2, ""),
        ("[[rules]]\nhorizon = [1,\n", 3, ""),
        ("\n[rule]\nhorizon = 5\n", 2, "/rule"),
        ("\nrules = 3\n", 2, "/rules"),
        ("[rules]\nhorizon = 5\n", 1, "/rules"),
        ("[[rules]]\nstreams = 3\nhorizon = 5\n", 2, "/rules/0/streams"),
        ('[[rules]]\n\nfeatures = "door*"\n', 1, "/rules/0"),
        ("[[rules]]\nwindow = 5\nalpha_fwd = 0.5\n", 3, "/rules/0/alpha_fwd"),
        ('[[rules]]\nmethod = "batch"\nalpha_fwd = 0.5\n', 3, "/rules/0/alpha_fwd"),
        ('[[rules]]\nhorizon = 5\ntime_constant = "1d"\n', 1, "/rules/0"),
        ("rules = [{ horizon = 5 }, { horizon = 0 }]", 1, "/rules/1/horizon"),
        ("[[rules]]\nvalid = [80, -40]\n", 1, "/rules/0"),
    ],
)
def test_what_is_wrong_is_found_on_its_line(text: str, line: int, pointer: str) -> None:
    assert [fault[:2] for fault in faults(text)] == [(line, pointer)]


def test_a_parameter_needs_no_method_beside_it() -> None:
    assert config_file.parse("[[rules]]\nwindow = 64\n", FILE).rules.rules[0].layer.parameters == {"window": 64}


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfigFile, match=r"^none\.toml: cannot be read: No such file or directory$"):
        config_file.read(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'[[rules]]\nunit = "\xb0C"\n')
    with pytest.raises(InvalidConfigFile, match=r"^latin\.toml:2: is not UTF-8$"):
        config_file.read(tmp_path / "latin.toml")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf[[rules]]\nhorizon = 5\n")
    assert len(config_file.read(tmp_path / "bom.toml").rules.rules) == 1
