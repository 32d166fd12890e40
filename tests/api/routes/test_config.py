"""Features of their own, by `PUT` and by the file of rules; and the file read anew."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from streamnorm.stores.local.memory import MemoryStore
from tests.support.gated_store import until
from tests.support.http_calls import NDJSON, Api, assert_problem, running

RULES = """
[[rules]]
features = "door*"
horizon = 20000

[[rules]]
streams = "roof-*"
warmup = 5
"""
CIRCULAR = {"features": {"wind": {"transform": "circular"}, "lux": {"transform": "log", "valid": [1, 1e5]}}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "streamnorm.toml"
    path.write_text(RULES)
    return path


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def config(api: Api, stream: str) -> Any:
    return (await api.get(f"/v1/streams/{stream}")).json()["config"]


async def test_features_of_one_stream_are_configured_apart(api: Api) -> None:
    features = {"door*": {"horizon": 20000, "warmup": 4}, "t?": {"method": "batch", "window": 8}}
    answer = await api.post("/v1/streams/a", {"horizon": 50, "features": features}, method="PUT")
    assert answer.status_code == 201
    assert answer.json()["config"] | {"horizon": 50, "features": features} == answer.json()["config"]
    assert (await api.observe("a", {"values": {"door": 1, "t1": 2, "temp": 3}}))["values"].keys() == {
        "door",
        "t1",
        "temp",
    }


async def test_every_fault_of_a_features_parameters_is_named(api: Api) -> None:
    wrong = {"door*": {"horizon": 0}, "a/b": {"windows": 3}, "c": 5, "d": {"method": "batch", "alpha_fwd": 0.5}}
    response = await api.post("/v1/streams/a", {"features": wrong}, method="PUT")
    pointers = ["/features/door*/horizon", "/features/a~1b/windows", "/features/c", "/features/d/alpha_fwd"]
    assert_problem(response, 422, "invalid-configuration", *pointers)
    response = await api.post("/v1/streams/a", {"features": []}, method="PUT")
    assert_problem(response, 422, "invalid-configuration", "/features")


async def test_only_features_that_changed_restart(api: Api) -> None:
    for _ in range(3):
        await api.observe("a", {"values": {"door": 1, "temp": 3}})
    answer = await api.post("/v1/streams/a", {"features": {"door": {"method": "batch"}}}, method="PUT")
    assert answer.json()["restarted"]
    assert answer.json()["reason"] == "door: the method batch keeps other statistics than online"
    profile = (await api.get("/v1/streams/a/profile")).json()["features"]
    assert (profile["door"]["count"], profile["temp"]["count"]) == (0, 3)


async def test_an_angle_is_answered_as_sine_and_cosine_on_every_way_in(api: Api) -> None:
    await api.post("/v1/streams/a", CIRCULAR, method="PUT")
    one = await api.observe("a", {"values": {"wind": 90, "lux": 10}})
    assert [*one["values"]] == ["wind.sin", "wind.cos", "lux"]
    table = (await api.post("/v1/streams/a/bulk", {"features": ["wind", "lux"], "values": [[1, 2], [3, 0]]})).json()
    assert table["features"] == ["wind.sin", "wind.cos", "lux"]
    assert table["values"][1][2] is None
    lines = await api.lines("/v1/streams/a/bulk", *[{"values": {"wind": at, "lux": 9}} for at in range(6)])
    assert lines.headers["content-type"].startswith(NDJSON)
    assert lines.text.count('"wind.cos"') == 6
    both = (await api.post("/v1/bulk", {"readings": [{"stream": "a", "values": {"wind": 5}}] * 2})).json()["readings"]
    assert [*both[1]["values"]] == ["wind.sin", "wind.cos"]
    shown = (await api.get("/v1/streams/a")).json()["features"]
    assert shown == ["wind.sin", "wind.cos", "lux"]


async def test_many_readings_of_an_angle_make_a_table_too(api: Api) -> None:
    await api.post("/v1/streams/a", CIRCULAR, method="PUT")
    readings = [{"values": {"wind": at, "lux": 9 + at}} for at in range(3)]
    answer = await api.lines("/v1/streams/a/bulk", *readings, headers={"accept": "application/json"})
    assert answer.json()["features"] == ["wind.sin", "wind.cos", "lux"]
    assert [len(row) for row in answer.json()["values"]] == [3, 3, 3]


async def test_raw_values_stay_raw_in_events(api: Api) -> None:
    await api.post("/v1/streams/a", CIRCULAR, method="PUT")
    await api.observe("a", {"values": {"wind": 90, "lux": 1000}})
    await api.post("/v1/streams/a/bulk", {"features": ["wind", "lux"], "values": [[45, 100], [45, 10]]})
    events = [row.event() for row in api.app.state.context.events.past("a")]
    assert [event["values"] for event in events] == [
        {"wind.sin": 90.0, "wind.cos": 90.0, "lux": 1000.0},
        {"wind.sin": 45.0, "wind.cos": 45.0, "lux": 100.0},
        {"wind.sin": 45.0, "wind.cos": 45.0, "lux": 10.0},
    ]


async def test_what_was_prepared_is_turned_back(api: Api) -> None:
    await api.post("/v1/streams/a", CIRCULAR, method="PUT")
    for wind, lux in ((0, 10), (120, 100), (240, 1000)):
        answer = await api.observe("a", {"values": {"wind": wind, "lux": lux}})
    back = await api.post("/v1/streams/a/denormalize", {"values": answer["values"]})
    assert back.json()["values"] == pytest.approx({"lux": 1000.0, "wind": 240.0})
    half = await api.post("/v1/streams/a/denormalize", {"values": {"wind.sin": 0.5}})
    assert_problem(half, 422, "cannot-invert", "/values/wind.sin")


async def test_the_profile_tells_of_units_transforms_and_what_was_invalid(api: Api) -> None:
    await api.post("/v1/streams/a", {"features": {"lux": {"transform": "log", "unit": "lx"}}}, method="PUT")
    await api.observe("a", {"values": {"lux": 10, "temp": 3}}, {"values": {"lux": 0, "temp": 3}})
    profile = (await api.get("/v1/streams/a/profile")).json()["features"]
    assert {key: profile["lux"][key] for key in ("invalid", "missing", "transform", "unit")} == {
        "invalid": 1,
        "missing": 1,
        "transform": "log",
        "unit": "lx",
    }
    assert profile["temp"]["invalid"] is None


async def test_rules_hold_beneath_what_is_set_for_a_stream(file: Path) -> None:
    async with running(config=str(file)) as api:
        await api.observe("roof-1", {"values": {"door": 1}})
        assert await config(api, "roof-1") | {"warmup": 5, "features": {"door*": {"horizon": 20000}}} == await config(
            api, "roof-1"
        )
        await api.post("/v1/streams/roof-1", {"warmup": 9, "features": {"door1": {"horizon": 5}}}, method="PUT")
        assert (await config(api, "roof-1"))["warmup"] == 9
        assert (await config(api, "roof-1"))["features"] == {"door*": {"horizon": 20000}, "door1": {"horizon": 5}}
        await api.post("/v1/streams/roof-1", {}, method="PUT")
        assert (await config(api, "roof-1"))["warmup"] == 5


async def test_a_reloaded_file_holds_for_streams_that_are_there(file: Path) -> None:
    async with running(config=str(file)) as api:
        for stream in ("roof-1", "cellar"):
            await api.observe(stream, {"values": {"door": 1, "temp": 20}}, {"values": {"door": 0, "temp": 21}})
        await api.post("/v1/streams/cellar", {"warmup": 9}, method="PUT")
        write(file, '[[rules]]\nfeatures = "temp"\nmethod = "batch"\n\n[[rules]]\nwarmup = 7\n')
        assert (await api.post("/v1/config/reload")).json() == {"rules": 2, "mappings": 0, "streams": 2}
        assert [(await config(api, stream))["warmup"] for stream in ("roof-1", "cellar")] == [7, 9]
        profile = (await api.get("/v1/streams/roof-1/profile")).json()["features"]
        assert (profile["door"]["count"], profile["temp"]["count"]) == (2, 0)
        assert (await api.post("/v1/config/reload")).json()["streams"] == 0


async def test_a_file_that_is_wrong_changes_nothing_and_names_its_lines(file: Path) -> None:
    async with running(config=str(file)) as api:
        await api.observe("roof-1", {"values": {"door": 1}})
        before = await config(api, "roof-1")
        write(file, RULES.replace("20000", "0").replace("warmup", "warm"))
        problem = assert_problem(
            await api.post("/v1/config/reload"), 422, "invalid-configuration", "/rules/0/horizon", "/rules/1/warm"
        )
        assert [fault["detail"] for fault in problem["errors"]] == [
            "line 4: must be greater than 1, not 0",
            "line 8: is unknown",
        ]
        assert await config(api, "roof-1") == before


async def test_a_service_without_a_file_has_nothing_to_reload(api: Api) -> None:
    assert_problem(await api.post("/v1/config/reload"), 422, "invalid-configuration", "")


async def test_streams_at_rest_and_of_before_follow_the_rules_when_they_are_called(file: Path) -> None:
    store = MemoryStore()
    async with running(store) as api:
        await api.observe("roof-1", {"values": {"door": 1, "temp": 20}})
        await api.post("/v1/streams/roof-2", {"warmup": 9}, method="PUT")
        await api.observe("roof-2", {"values": {"door": 1, "temp": 20}})
    async with running(store, config=str(file)) as api:
        assert [(await config(api, stream))["warmup"] for stream in ("roof-1", "roof-2")] == [5, 9]
        assert (await api.observe("roof-1", {"values": {"door": 1, "temp": 20}}))["count"] == 2
        assert (await config(api, "roof-2"))["features"] == {"door*": {"horizon": 20000}}


async def test_rules_that_do_not_go_together_refuse_the_reading_and_say_why(file: Path) -> None:
    write(file, '[[rules]]\nmethod = "streaming"\n\n[[rules]]\nfeatures = "wind"\ntransform = "circular"\n')
    async with running(config=str(file)) as api:
        response = await api.post("/v1/streams/a/readings", {"values": {"wind": 5}})
        assert "circular does not go with the method streaming" in response.json()["detail"]
        assert response.status_code == 422


async def test_a_hangup_reads_the_file_anew(file: Path) -> None:
    async with running(config=str(file)) as api:
        await api.observe("roof-1", {"values": {"door": 1}})
        write(file, "[[rules]]\nwarmup = 77\n")
        os.kill(os.getpid(), signal.SIGHUP)

        streams = api.app.state.context.service.streams
        await until(lambda: streams.peek("roof-1").plan.warmup == 77)
        assert (await config(api, "roof-1"))["warmup"] == 77


async def test_what_rules_and_mappings_matched_is_told_with_its_lines(file: Path) -> None:
    write(file, RULES + '\n[[mappings]]\nname = "weather"\npreset = "airgradient"\n')
    async with running(config=str(file)) as api:
        await api.post("/v1/streams/roof-1", {"features": {"door1": {"horizon": 5}}}, method="PUT")
        await api.observe("roof-1", {"values": {"door1": 1, "door2": 1, "temp": 3}})
        answer = (await api.get("/v1/streams/roof-1/rules")).json()
        assert (answer["file"], answer["mappings"]) == ("streamnorm.toml", [])
        assert [(each["by"], each["line"], each["matched"]) for each in answer["sources"]] == [
            ("default", None, ["door1", "door2", "temp"]),
            ("rule", 2, ["door1", "door2"]),
            ("rule", 6, ["door1", "door2", "temp"]),
            ("stream", None, ["door1"]),
        ]
        held = {name: (each["horizon"], each["warmup"]) for name, each in answer["features"].items()}
        assert held["door1"] == ({"value": 5.0, "source": 3}, {"value": 5, "source": 2})
        assert held["door2"] == ({"value": 20000.0, "source": 1}, {"value": 5, "source": 2})
        sent = await api.post("/v1/ingest/weather?topic=roof", {"serialno": "ag-7", "rco2": 447, "atmp": 25.9})
        stream = sent.json()["readings"][0]["stream"]
        answer = (await api.get(f"/v1/streams/{stream}/rules")).json()
        assert answer["mappings"] == [{"name": "weather", "line": 10, "topic": "roof"}]


async def test_both_parts_of_an_angle_are_explained_by_its_rule(file: Path) -> None:
    write(file, '[[rules]]\nfeatures = "wind"\ntransform = "circular"\n')
    async with running(config=str(file)) as api:
        await api.observe("roof-1", {"values": {"wind": 350, "temp": 3}})
        answer = (await api.get("/v1/streams/roof-1/rules")).json()
        assert answer["sources"][1]["matched"] == ["wind.sin", "wind.cos"]
        transforms = {name: each.get("transform") for name, each in answer["features"].items()}
        by_rule = {"value": "circular", "source": 1}
        assert transforms == {"temp": None, "wind.sin": by_rule, "wind.cos": by_rule}
