"""Both clients against a real service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from streamnorm_client import (
    AsyncClient,
    Client,
    InvalidConfiguration,
    InvalidReading,
    LimitExceeded,
    StaleSequence,
    StreamNotFound,
)
from tests.support.processes import Service

READINGS = np.random.default_rng(0).normal(20, 3, (50, 2))


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    """Connect to the service."""
    with Client(service.url) as ours:
        yield ours


def test_the_service_is_alive(client: Client) -> None:
    assert client.health().status == "ok"


def test_a_first_reading_is_normalized_to_zero(client: Client) -> None:
    answer = client.stream("first").observe({"temp": 21.4, "door": 0})
    assert (answer.seq, answer.count, answer.ready, answer.values) == (1, 1, False, {"temp": 0.0, "door": 0.0})


def test_a_stream_and_a_feature_may_have_any_letters(client: Client) -> None:
    name = "客厅 🏠?#%2F&=+"
    stream = client.stream(name)
    assert stream.observe({"températur": 20}).stream == name
    with stream.live() as live:
        live.observe({"températur": 21})
    assert stream.bulk([[20.0]], features=["températur"]).stream == name
    assert [each.stream for each in client.streams(prefix="客厅")] == [name]
    assert stream.profile().features.keys() == {"températur"}
    stream.delete()


def test_values_sent_as_a_list_are_answered_as_a_list(client: Client) -> None:
    assert client.stream("list").observe([21.4, 3]).values == [0.0, 0.0]


def test_a_missing_value_is_answered_as_missing(client: Client) -> None:
    assert client.stream("missing").observe({"temp": float("nan")}).values == {"temp": None}


def test_statistics_come_on_request(client: Client) -> None:
    answer = client.stream("stats").observe({"temp": 21.4}, stats=True)
    assert (answer.mean, answer.std) == ({"temp": 21.4}, {"temp": 0.0})


def test_a_timestamp_may_be_a_datetime(client: Client) -> None:
    assert client.stream("time").observe({"temp": 1}, timestamp=datetime(2026, 1, 1, tzinfo=UTC)).count == 1


def test_normalizing_leaves_the_stream_as_it_is(client: Client) -> None:
    stream = client.stream("normalize")
    stream.observe({"temp": 21.4})
    stream.normalize({"temp": 25})
    assert stream.info().count == 1


def test_denormalizing_undoes_normalizing(client: Client) -> None:
    stream = client.stream("denormalize")
    stream.bulk(READINGS, features=["a", "b"])
    answer = stream.denormalize(stream.normalize({"a": 22.0}).values)
    assert answer.values["a"] == pytest.approx(22.0)


def test_one_by_one_and_in_bulk_give_the_same_bits(client: Client) -> None:
    one_by_one = [client.stream("one-by-one").observe(row).values for row in READINGS]
    assert one_by_one == client.stream("in-bulk").bulk(READINGS).values.tolist()


def test_a_frame_is_answered_as_a_frame(client: Client) -> None:
    frame = pd.DataFrame(READINGS, columns=["a", "b"], index=pd.RangeIndex(100, 150))
    frame.loc[107, "b"] = np.nan
    answer = client.stream("frame").bulk(frame)
    assert (answer.features, answer.values.isna().sum().sum()) == (["a", "b"], 1)
    assert answer.values.index.equals(frame.index)


def test_rows_may_be_dicts(client: Client) -> None:
    values = client.stream("dicts").bulk([{"a": 1, "b": 2}, {"a": 3}]).values
    assert [set(row) for row in values] == [{"a", "b"}, {"a"}]


def test_a_block_takes_a_number_a_row(client: Client) -> None:
    stream = client.stream("numbers")
    last = [stream.bulk(READINGS).last_seq, stream.observe(READINGS[0]).seq, stream.bulk(READINGS[:3]).last_seq]
    assert last == [50, 51, 54]


def test_normalizing_a_block_leaves_the_stream_as_it_is(client: Client) -> None:
    stream = client.stream("bulk-normalize")
    stream.bulk(READINGS)
    stream.bulk(READINGS, learn=False)
    assert stream.info().count == 50


def test_readings_of_many_streams_are_answered_in_order(client: Client) -> None:
    readings = [{"stream": f"many-{n}", "values": {"temp": n}} for n in (1, 2, 1)]
    assert [(each.stream, each.count) for each in client.bulk(readings)] == [
        ("many-1", 1),
        ("many-2", 1),
        ("many-1", 2),
    ]


def test_streams_are_listed_by_prefix_in_order(client: Client) -> None:
    for name in ("list-b", "list-a", "other"):
        client.stream(name).observe([1])
    assert [info.stream for info in client.streams(prefix="list-")] == ["list-a", "list-b"]


def test_a_stream_can_be_configured_before_its_first_reading(client: Client) -> None:
    configured = client.stream("configured").configure(method="cumulative", warmup=5)
    assert (configured.config["method"], configured.config["warmup"], configured.restarted) == ("cumulative", 5, False)


def test_a_restored_snapshot_answers_the_same_bits(client: Client) -> None:
    original, copy = client.stream("original"), client.stream("copy")
    original.bulk(READINGS)
    copy.restore(original.snapshot())
    assert copy.observe(READINGS[0]).values == original.observe(READINGS[0]).values


def test_a_handle_numbers_on_after_a_restored_snapshot(client: Client) -> None:
    stream = client.stream("restored")
    stream.bulk(READINGS)
    snapshot = stream.snapshot()
    stream.bulk(READINGS)
    stream.restore(snapshot)
    assert stream.observe(READINGS[0]).seq == 51


def test_merging_adds_the_counts(client: Client) -> None:
    ours, theirs = client.stream("ours"), client.stream("theirs")
    for stream in (ours, theirs):
        stream.configure(method="cumulative")
        stream.bulk(READINGS)
    assert ours.merge(theirs.snapshot()).count == 100


def test_a_reset_stream_starts_anew(client: Client) -> None:
    stream = client.stream("reset")
    stream.bulk(READINGS)
    stream.reset()
    assert stream.observe([3, 4]).values == [0.0, 0.0]


def test_a_deleted_stream_is_gone_and_can_come_back(client: Client) -> None:
    stream = client.stream("deleted")
    stream.observe([1])
    stream.delete()
    with pytest.raises(StreamNotFound):
        stream.info()
    assert stream.observe([1]).seq == 1


def test_an_unknown_parameter_is_refused_with_its_place(client: Client) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        client.stream("refused").configure(horizn=3)
    assert [fault.pointer for fault in refused.value.errors] == ["/horizn"]


def test_a_refused_reading_uses_no_number(client: Client) -> None:
    stream = client.stream("refused-reading")
    stream.observe({"ir": [[1, 2]]})
    with pytest.raises(InvalidReading):
        stream.observe({"ir": [1, 2, 3]})
    assert stream.observe({"ir": [[1, 2]]}).gap == 0


def test_a_limit_is_named(client: Client) -> None:
    with pytest.raises(LimitExceeded) as passed:
        client.stream("wide").observe([0.0] * 5000)
    assert passed.value.limit == "max_features"


def test_a_stale_number_of_the_callers_own_tells_the_last_one(client: Client) -> None:
    stream = client.stream("stale")
    stream.observe([1], seq=5)
    with pytest.raises(StaleSequence) as stale:
        stream.observe([2], seq=4)
    assert stale.value.last_seq == 5


def test_two_clients_on_one_stream_apply_every_reading_once(client: Client, service: Service) -> None:
    with Client(service.url) as other:
        for n in range(20):
            (client if n % 3 else other).stream("shared").observe([n])
    info = client.stream("shared").info()
    assert (info.count, info.last_seq) == (20, 20)


def test_two_clients_may_send_other_features_to_one_stream(client: Client, service: Service) -> None:
    with Client(service.url) as other:
        for _ in range(3):
            client.stream("halves").observe({"left": 1})
            other.stream("halves").observe({"right": 1, "top": 2})
    assert client.stream("halves").info().count == 6


def test_several_threads_may_use_one_handle(client: Client) -> None:
    stream = client.stream("threads")
    with ThreadPoolExecutor(4) as pool:
        numbers = [answer.seq for answer in pool.map(stream.observe, ([n] for n in range(40)))]
    assert sorted(number or 0 for number in numbers) == list(range(1, 41))


async def test_the_asynchronous_client_gives_the_same_bits(client: Client, service: Service) -> None:
    async with AsyncClient(service.url) as ours:
        values = [(await ours.stream("asynchronous").observe(row)).values for row in READINGS]
    assert values == [client.stream("synchronous").observe(row).values for row in READINGS]


async def test_several_tasks_may_use_one_handle(service: Service) -> None:
    async with AsyncClient(service.url) as ours:
        stream = ours.stream("tasks")
        answers = await asyncio.gather(*(stream.observe([n]) for n in range(40)))
    assert sorted(answer.seq or 0 for answer in answers) == list(range(1, 41))


async def test_the_asynchronous_client_does_what_the_other_does(service: Service) -> None:
    async with AsyncClient(service.url) as ours:
        stream = ours.stream("all-async")
        await stream.configure(method="cumulative")
        block = await stream.bulk(READINGS)
        await stream.merge(await stream.snapshot())
        counts = [block.count, (await stream.info()).count, (await stream.reset()).count]
        await stream.restore(await stream.snapshot())
        await stream.delete()
        assert counts == [50, 100, 0]
        assert [info.stream async for info in ours.streams("all-async")] == []
