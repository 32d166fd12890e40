"""`streamnorm filter`: what it writes for a line, and how it behaves as a process in a pipe."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamnorm import Normalizer
from tests.support.commands import invoke
from tests.support.processes import PATIENCE

PROGRAM = [sys.executable, "-m", "streamnorm", "filter"]


def run(text: str, *options: str) -> tuple[int, list[str], str]:
    """Filter a text; returns status, lines and errors."""
    done = invoke(["filter", *options], text=text)
    return done.exit_code, done.stdout.splitlines(), done.stderr


def objects(text: str, *options: str) -> list[Any]:
    """Filter NDJSON."""
    return [json.loads(line) for line in run(text, *options)[1]]


def test_a_flat_object_has_its_numbers_normalized_and_the_rest_kept() -> None:
    found = objects('{"temp": 20, "room": "a", "on": true}\n{"temp": 22, "room": "a", "on": false}\n')
    expected = Normalizer()
    expected.observe([20.0])
    assert found == [
        {"temp": 0.0, "room": "a", "on": 0.0},
        {"temp": expected.observe([22.0]).values[0], "room": "a", "on": pytest.approx(-math.sqrt(0.999))},
    ]


def test_a_reading_as_in_a_body_is_answered_as_one() -> None:
    found = objects('{"stream": "s", "values": {"ir": [1, 3], "t": null}, "seq": 5}')
    assert found == [{"stream": "s", "seq": 5, "count": 1, "ready": False, "values": {"ir": [-1, 1], "t": None}}]


def test_every_stream_has_its_own_statistics() -> None:
    found = objects('{"id": "a", "t": 1}\n{"id": "b", "t": 500}\n{"id": "a", "t": 1}', "--stream-column", "id")
    assert [each["t"] for each in found] == [0.0, 0.0, 0.0]


def test_line_protocol_keeps_names_tags_texts_and_times() -> None:
    text = 'cpu,host=a\\ b use=1,ok=t,note="x" 17\n# comment\ncpu,host=a\\ b use=1,ok=t,note="y\n\nz" 18\n'
    assert run(text)[1] == [
        'cpu,host=a\\ b note="x",use=0.0,ok=0.0 17',
        'cpu,host=a\\ b note="y',
        "",
        'z",use=0.0,ok=0.0 18',
    ]


def test_a_suffix_keeps_the_raw_fields() -> None:
    assert run("cpu use=1i 17\n", "--suffix", "_norm")[1] == ["cpu use=1i,use_norm=0.0 17"]


def test_times_count_where_a_time_constant_is_given() -> None:
    lines = "".join(f"m f={n} {n * 10**9}\n" for n in (0, 1, 2))
    normalizer = Normalizer(time_constant=2.0)
    expected = [normalizer.observe([float(n)], timestamp=n).values[0] for n in (0, 1, 2)]
    found = run(lines, "--config", '{"time_constant": 2.0}')[1]
    assert [float(line.split("=")[1].split()[0]) for line in found] == expected


def test_a_line_that_cannot_be_read_is_told_and_the_others_are_filtered() -> None:
    status, lines, errors = run('{"t": 1}\nnope\n{"t": "warm", "u": 1e99}\n{"t": 1}\n')
    assert (status, len(lines)) == (1, 2)
    *each, last = [line.split(":")[1].strip() for line in errors.splitlines()]
    assert each == ["line 2", "line 3"]
    assert last == "2 of 4 lines were refused, and left out"


def test_lines_are_answered_as_they_come() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(PROGRAM, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603 - our own program
        assert process.stdin
        assert process.stdout
        for n in range(3):
            process.stdin.write(f'{{"n": {n}}}\n')
            process.stdin.flush()
            assert "n" in json.loads(process.stdout.readline())
        process.stdin.close()


def test_what_was_learned_goes_on_in_the_next_run(tmp_path: Path) -> None:
    lines = [json.dumps({"t": n % 7}) for n in range(40)]
    state = ("--state", str(tmp_path / "state.json"))
    halves = objects("\n".join(lines[:20]), *state) + objects("\n".join(lines[20:]), *state)
    assert halves == objects("\n".join(lines))


def test_a_stop_keeps_what_was_learned(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    command = [*PROGRAM, "--state", str(state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdin
        assert process.stdout
        process.stdin.write('{"t": 1}\n')
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert json.loads(state.read_text())["streams"]["stdin"]["count"] == 1


def test_a_reader_that_has_seen_enough_ends_it_quietly() -> None:
    command = f"yes '{{\"t\": 1}}' | {' '.join(PROGRAM)} | head -2"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=PATIENCE, check=True)  # noqa: S602
    assert (done.stdout.splitlines(), done.stderr) == (['{"t":0.0}'] * 2, "")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--format", "xml"], "'xml' is neither ndjson nor line"),
        (["--horizon", "0"], "/horizon"),
        (["--config", "[]"], "the configuration [] is no JSON object"),
        (["--config", "{"], "the configuration { is no JSON object: Expecting property name"),
        (["--state", "/proc/nowhere/state.json"], "cannot write /proc/nowhere/state.json: No such file"),
        (["--config", '{"horzon": 3}'], "horzon"),
        (["--state", __file__], "holds no streams"),
    ],
)
def test_wrong_options_are_told(options: list[str], told: str) -> None:
    status, _, errors = run("", *options)
    assert (status, told in errors, len(errors.splitlines())) == (2, True, 1)


def test_lines_that_arrive_together_are_normalized_as_one_by_one() -> None:
    rows = [{"stream": "ab"[n % 3 == 1], "t": n % 7 + 0.5, "u": None if n % 5 == 0 else n} for n in range(200)]
    normalizers = {name: Normalizer() for name in "ab"}
    expected = [row | normalizers[str(row["stream"])].observe({"t": row["t"], "u": row["u"]}).values for row in rows]
    assert objects("\n".join(map(json.dumps, rows))) == expected


def test_a_bad_line_among_many_is_told_and_the_others_are_filtered() -> None:
    lines = [json.dumps({"t": n}) for n in range(40)]
    expected = objects("\n".join(lines))
    lines[20:20] = ["nope", '{"t": 1e99}', "[1]"]
    status, found, errors = run("\n".join(lines))
    assert (status, [json.loads(line) for line in found]) == (1, expected)
    told = [line.split(":")[1].strip() for line in errors.splitlines()]
    assert told == ["line 21", "line 22", "line 23", "3 of 43 lines were refused, and left out"]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert objects('\ufeff{"temp": 20}\n{"temp": 21}\n')[0] == {"temp": 0.0}


def test_states_of_home_assistant_are_understood() -> None:
    states = ["20", "unavailable", "22"]
    text = "".join(
        json.dumps({"entity_id": "sensor.a", "state": state, "last_changed": f"2026-01-01T00:0{n}:00Z"}) + "\n"
        for n, state in enumerate(states)
    )
    found = [row["state"] for row in objects(text)]
    assert found == [0.0, None, pytest.approx(0.9994998749374611)]


def test_texts_are_numbers_or_states_where_that_is_said() -> None:
    found = objects('{"t": "20.5", "door": "ON", "note": "x"}\n', "--strings", "--states", "ON=1,OFF=0")
    assert found == [{"t": 0.0, "door": 0.0, "note": "x"}]


def test_lines_without_any_number_are_told() -> None:
    status, lines, errors = run('{"t": "20.5"}\n')
    assert (status, lines, "--strings" in errors) == (1, ['{"t":"20.5"}'], True)


@pytest.mark.parametrize(
    "text", ['{"t": "x"}\n{"t": 20.5}\n{"u": "y"}\n', 'm note="x" 1\nm t=20.5 2\nm note="y" 3\n'], ids=["json", "line"]
)
def test_lines_without_a_number_are_counted_and_one_with_is_enough(text: str) -> None:
    status, lines, errors = run(text)
    assert (status, len(lines), errors.strip()) == (
        0, 3, "streamnorm filter: 2 of 3 lines held no number, and stay as they are"
    )  # fmt: skip


def test_no_lines_at_all_are_no_failure() -> None:
    assert run("") == (0, [], "")


def test_messages_are_read_by_a_preset_behind_their_topics_or_without() -> None:
    text = 'zigbee2mqtt/living room {"temperature": 21.5, "linkquality": 9}\nzigbee2mqtt/bridge/state {"state": "on"}\n'
    assert objects(text, "--mapping", "zigbee2mqtt") == [
        {"stream": "living room", "count": 1, "ready": False, "values": {"temperature": 0.0}}
    ]
    assert objects("hall/sensor/co2/state 612\nhall/sensor/co2/state nan", "--mapping", "esphome") == [
        {"stream": "hall", "count": 1, "ready": False, "values": {"co2": 0.0}},
        {"stream": "hall", "count": 2, "ready": False, "values": {"co2": None}},
    ]
    measures = '{"serialno": "e1", "rco2": 447, "boot": 6}'
    assert objects(measures, "--mapping", "airgradient", "--suffix", "_z")[0]["values"] == {"rco2": 447, "rco2_z": 0.0}


def test_a_mapping_of_the_service_s_file_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "streamnorm.toml"
    file.write_text('[[mappings]]\nname = "gauge"\nstream = "{/id}"\nstrings = "number"\n')
    monkeypatch.setenv("STREAMNORM_CONFIG", str(file))
    assert objects('{"id": "a", "t": "21,5"}', "--mapping", "gauge")[0]["stream"] == "a"
    file.write_text('[[mappings]]\nname = "gauge"\nroot = "x"\n')
    status, _, errors = run("{}", "--mapping", "gauge")
    assert (status, "streamnorm.toml:3" in errors, "is no JSON pointer" in errors) == (2, True, True), errors


def test_a_message_of_several_readings_becomes_several_lines() -> None:
    text = '{"pump": [{"ts": 1795338000000, "values": {"t": 1}}, {"ts": 1795338060000, "values": {"t": 2}}]}'
    found = objects(text, "--mapping", "thingsboard-gateway")
    assert [each["timestamp"] for each in found] == ["2026-11-22T09:00:00Z", "2026-11-22T09:01:00Z"]


def test_a_message_that_a_mapping_cannot_read_is_told_with_what_would_help() -> None:
    status, lines, errors = run('{"end_device_ids": {"device_id": "a"}}\n', "--mapping", "ttn")
    assert (status, lines) == (1, [])
    assert "line 1: mapping 'ttn': there is nothing at /uplink_message/decoded_payload" in errors
