"""What advice says, as a person and as `streamnorm.toml` reads it."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from streamnorm.advice import Advice, to_toml
from streamnorm.engine.configuration.rules import parse_rule
from tests.support.commands import invoke
from tests.support.http_calls import Api
from tests.support.processes import Service

RNG = np.random.default_rng(0)
WIND = np.round((40 * RNG.normal(size=300)) % 360, 1).tolist()
COLD = [-127.0 if place % 50 == 7 else 20.0 + x for place, x in enumerate(RNG.normal(size=300))]


async def rules(api: Api, *columns: list[float]) -> Any:
    """Observe readings, and give the answer with the advice on them."""
    names = [f"f{place}" for place in range(len(columns))]
    await api.post("/v1/streams/roof/bulk", {"features": names, "values": np.array(columns).T.tolist()})
    return (await api.get("/v1/streams/roof/advice")).json()


async def test_the_service_advises_on_each_feature_and_gives_the_rules(api: Api) -> None:
    answer = await rules(api, WIND, COLD, RNG.normal(size=300).tolist())
    assert [(each["feature"], each["rule"]) for each in answer["advice"]] == [
        ("f0", {"transform": "circular", "period": 360}),
        ("f1", {"missing_codes": [-127.0]}),
    ]
    assert tomllib.loads(answer["toml"])["rules"] == [
        {"streams": "roof", "features": "f0", "transform": "circular", "period": 360},
        {"streams": "roof", "features": "f1", "missing_codes": [-127.0]},
    ]
    assert "-127 comes again and again" in answer["toml"]


async def test_what_was_advised_is_a_rule_and_is_not_advised_again(api: Api) -> None:
    answer = await rules(api, WIND, COLD)
    own = {rule["features"]: rule for rule in tomllib.loads(answer["toml"])["rules"]}
    assert all(parse_rule(rule) for rule in own.values())
    layers = {name: {"transform": "circular"} if name == "f0" else {"missing_codes": [-127]} for name in own}
    await api.post("/v1/streams/roof", {"features": layers}, method="PUT")
    assert (await rules(api, WIND, COLD))["advice"] == []


async def test_nothing_is_applied(api: Api) -> None:
    await rules(api, WIND)
    before = await api.state()
    await api.get("/v1/streams/roof/advice")
    assert await api.state() == before


async def test_of_a_new_stream_there_is_nothing_to_say(api: Api) -> None:
    assert (await rules(api, [1.0, 2.0])) == {"stream": "roof", "advice": [], "toml": ""}


async def test_an_unknown_stream_is_not_found(api: Api) -> None:
    assert (await api.get("/v1/streams/roof/advice")).status_code == 404


async def test_a_sensor_that_got_stuck_is_told_with_how_long(api: Api) -> None:
    await api.post("/v1/streams/roof", {"horizon": 50}, method="PUT")
    times = [1_795_000_000.0 + 600.0 * place for place in range(400)]
    values = [[20.0 + x] for x in RNG.normal(size=200)] + [[20.1]] * 200
    await api.post("/v1/streams/roof/bulk", {"features": ["temp"], "values": values, "timestamps": times})
    (advice,) = (await api.get("/v1/streams/roof/advice")).json()["advice"]
    assert advice["rule"] == {}
    assert "20.1 for the last 200 readings, 1.38 days" in advice["reason"]


@pytest.mark.parametrize("name", ["a*[1]?", "客厅", 'a"b\\c'])
def test_names_are_no_patterns(name: str) -> None:
    (rule,) = tomllib.loads(to_toml(name, [Advice(name, "why", {"transform": "log"})]))["rules"]
    assert fnmatchcase(name, rule["streams"])
    assert not fnmatchcase("a1", rule["features"])


def test_advice_without_parameters_is_a_comment() -> None:
    assert tomllib.loads(to_toml("a", [Advice("", "two devices", {})])) == {}


def test_the_command_suggests_for_a_recording(tmp_path: Path) -> None:
    file = tmp_path / "roof.csv"
    start = 1_795_000_000
    rows = [f"{start + 60 * place},{wind},{cold}" for place, (wind, cold) in enumerate(zip(WIND, COLD, strict=True))]
    file.write_text("\n".join(["time,wind,temp", *rows]))
    result = invoke(["suggest", str(file)])
    assert result.exit_code == 0, result.output
    found = [(rule["streams"], rule["features"]) for rule in tomllib.loads(result.stdout)["rules"]]
    assert found == [("roof", "wind"), ("roof", "temp")]


def test_the_command_suggests_for_the_streams_of_a_service(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        for stream in ("客厅", "shed", "客厅~1wind"):
            body = {"features": ["wind"], "values": [[each] for each in WIND]}
            httpx.post(f"{service.url}/v1/streams/{quote(stream)}/bulk", json=body).raise_for_status()
        result = invoke(["suggest", "--url", service.url, "--prefix", "客"])
    assert result.exit_code == 0, result.output
    assert [rule["streams"] for rule in tomllib.loads(result.stdout)["rules"]] == ["客厅", "客厅~1wind"]


def test_the_command_says_so_where_there_is_nothing_to_suggest(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("time,x\n" + "".join(f"{60 * place},{x}\n" for place, x in enumerate(RNG.normal(size=200))))
    assert invoke(["suggest", str(file)]).stdout == "# nothing to suggest\n"


@pytest.mark.parametrize("arguments", [[], ["a.csv", "--url", "http://127.0.0.1:1"]])
def test_the_command_takes_files_or_a_service(arguments: list[str]) -> None:
    assert invoke(["suggest", *arguments]).exit_code == 2


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    result = invoke(["suggest", str(tmp_path / "none.csv")])
    assert result.exit_code == 1
    assert "none.csv" in result.stderr
