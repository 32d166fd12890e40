"""One reading at a time: observe, normalize, denormalize."""

from __future__ import annotations

import math
from statistics import fmean, pstdev
from typing import Any

import pytest

from tests.support.http_calls import Api, running

HERE = "/v1/streams/boiler-7/readings"


async def test_a_first_reading_makes_the_stream_and_is_answered_with_zero(api: Api) -> None:
    answer = await api.observe("new", {"values": {"temp": 21.4}})
    assert answer == {"stream": "new", "count": 1, "ready": False, "values": {"temp": 0.0}}


async def test_a_reading_is_answered_with_its_z_score_within_the_past_and_itself(api: Api) -> None:
    await api.post("/v1/streams/new", {"method": "cumulative"}, method="PUT")
    xs = [20.0, 22.0, 21.0, 25.0]
    answer = await api.observe("new", *({"values": {"temp": x}} for x in xs))
    assert answer["values"]["temp"] == pytest.approx((25.0 - fmean(xs)) / pstdev(xs), rel=1e-12)


async def test_an_array_is_answered_as_an_array(api: Api) -> None:
    answer = await api.observe("new", {"values": [20, 3]}, {"values": [22, 3]})
    assert answer["values"] == [pytest.approx(math.sqrt(0.999), rel=1e-12), 0.0]


async def test_a_channel_is_answered_in_its_shape(warm: Api) -> None:
    answer = await warm.observe("boiler-7", {"values": {"ir": [[1, 2], [3, None]]}})
    (a, b), (c, d) = answer["values"]["ir"]
    assert a < b < c
    assert d is None


async def test_a_missing_value_is_answered_with_null_and_changes_no_statistics(warm: Api) -> None:
    before = (await warm.get("/v1/streams/boiler-7/snapshot")).json()["features"][0]
    answer = await warm.observe("boiler-7", {"values": {"temp": None}})
    after = (await warm.get("/v1/streams/boiler-7/snapshot")).json()["features"][0]
    assert answer["values"] == {"temp": None}
    assert after == before | {"missing": 1.0}


async def test_a_new_feature_starts_a_warm_up_of_its_own(api: Api) -> None:
    await api.post("/v1/streams/new", {"warmup": 2}, method="PUT")
    await api.observe("new", {"values": {"temp": 1}}, {"values": {"temp": 2}})
    ready = [(await api.observe("new", {"values": {"temp": 3, "door": 0}}))["ready"] for _ in range(2)]
    assert ready == [False, True]


async def test_the_number_is_answered(api: Api) -> None:
    assert (await api.observe("new", {"values": [1], "seq": 0}))["seq"] == 0


async def test_a_gap_is_applied_and_told(warm: Api) -> None:
    answer = await warm.observe("boiler-7", {"values": {"temp": 21}, "seq": 20})
    assert (answer["count"], answer["gap"]) == (4, 2)


async def test_the_last_number_again_is_answered_with_the_first_answer(warm: Api) -> None:
    reading = {"values": {"temp": 21, "ir": [[0, 2], [1, 4]]}, "seq": 20}
    first = await warm.observe("boiler-7", reading)
    assert await warm.observe("boiler-7", reading) == first | {"replayed": True}


async def test_the_last_number_again_is_applied_once(warm: Api) -> None:
    before = await warm.state()
    reading = {"values": {"temp": 20.1, "door": 0, "ir": [[1, 1], [3, 9]]}, "seq": 17}
    await warm.observe("boiler-7", reading)
    assert await warm.state() == before


@pytest.mark.parametrize(
    "timestamp", ["2026-11-22T09:00:00Z", "2026-11-22T10:00:00.5+01:00", 1_795_338_000, 0, -1.5, "1969-07-20T20:17:40Z"]
)
async def test_a_time_may_be_rfc_3339_or_epoch_seconds(api: Api, timestamp: object) -> None:
    assert (await api.observe("new", {"values": [1], "timestamp": timestamp}))["count"] == 1


async def test_statistics_come_on_request(api: Api) -> None:
    await api.post("/v1/streams/new", {"method": "cumulative"}, method="PUT")
    await api.observe("new", {"values": {"temp": 20}})
    answer = (await api.post("/v1/streams/new/readings?stats=true", {"values": {"temp": 22}})).json()
    assert (answer["mean"], answer["std"]) == ({"temp": 21.0}, {"temp": 1.0})


async def test_statistics_have_the_form_of_the_values(api: Api) -> None:
    answer = (await api.post("/v1/streams/new/readings?stats=true", {"values": [20, None]})).json()
    assert (answer["mean"], answer["std"]) == ([20.0, None], [0.0, None])


async def test_normalizing_only_leaves_the_stream_as_it_is(warm: Api) -> None:
    before = await warm.state()
    answer = (await warm.post(f"{HERE}?learn=false&stats=true", {"values": {"temp": 22}})).json()
    assert answer["values"]["temp"] == pytest.approx((22 - answer["mean"]["temp"]) / answer["std"]["temp"], rel=1e-12)
    assert await warm.state() == before


async def test_normalizing_only_gives_null_for_a_feature_never_seen(warm: Api) -> None:
    answer = (await warm.post(f"{HERE}?learn=false", {"values": {"humidity": 30}})).json()
    assert (answer["values"], answer["ready"]) == ({"humidity": None}, False)


async def test_normalizing_only_passes_over_the_number(warm: Api) -> None:
    assert (await warm.post(f"{HERE}?learn=false", {"values": {"temp": 30}, "seq": 1})).status_code == 200


async def test_denormalizing_undoes_normalizing(warm: Api) -> None:
    values = {"temp": 21.5, "door": 1, "ir": [[1, 2], [3, 4]]}
    normalized = (await warm.post(f"{HERE}?learn=false", {"values": values})).json()["values"]
    answer = (await warm.post("/v1/streams/boiler-7/denormalize", {"values": normalized})).json()
    assert answer["stream"] == "boiler-7"
    assert answer["values"]["temp"] == pytest.approx(21.5)
    assert answer["values"]["ir"] == [pytest.approx([1, 2]), pytest.approx([3, 4])]


async def test_denormalizing_answers_an_array_with_an_array(api: Api) -> None:
    await api.observe("new", {"values": [20, 3]})
    assert (await api.post("/v1/streams/new/denormalize", {"values": [0.0, None]})).json()["values"] == [20.0, None]


@pytest.mark.parametrize("id_", ["a", "boiler-7", "A.b_c:d~e-0", "0" * 128])
async def test_an_id_may_be_letters_digits_and_a_few_signs(api: Api, id_: str) -> None:
    assert (await api.observe(id_, {"values": [1]}))["stream"] == id_


async def test_a_reading_may_say_no_media_type(api: Api) -> None:
    response = await api.client.post("/v1/streams/new/readings", content='{"values": [1]}')
    assert response.status_code == 200


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON"])
async def test_a_media_type_may_have_parameters_and_capitals(api: Api, media: str) -> None:
    response = await api.post("/v1/streams/new/readings", {"values": [1]}, headers={"content-type": media})
    assert response.status_code == 200


async def test_streams_are_made_as_the_settings_say() -> None:
    settings: dict[str, Any] = {"method": "cumulative", "horizon": 50.0, "warmup": 1}
    async with running(**settings) as api:
        assert (await api.observe("new", {"values": [1]}))["ready"]
        assert (await api.get("/v1/streams/new")).json()["config"].items() >= {
            "method": "cumulative",
            "warmup": 1,
        }.items()
