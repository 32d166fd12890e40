"""Every method's state stays small, can be taken elsewhere to the bit, and is kept or restarted with a reason."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.state.layout import HEADER_SIZE
from streamnorm.engine.streams.lifecycle import merge, reconfigure
from streamnorm.engine.streams.snapshot import export, restore_stream
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import CannotMerge
from streamnorm.kernels import METHODS, base_statistics
from streamnorm.stores.codec import decode, encode
from tests.support.conformance import (
    NAMES,
    Array,
    Config,
    drawn,
    every_config,
    every_method,
    fed,
    few,
    one_by_one,
    tables,
)
from tests.support.engine import LIMITS, NOW, bits, new, observe, observe_rows


def over_json(stream: Stream) -> Stream:
    return restore_stream(json.loads(json.dumps(export(stream), allow_nan=False)), LIMITS)


def over_the_store(stream: Stream) -> Stream:
    return decode("boiler-7", encode(stream))


@pytest.mark.parametrize("way", [over_json, over_the_store])
@every_config
@few
@given(rows=tables)
def test_a_restored_stream_is_the_same_to_the_bit(config: Config, rows: Array, way: Any) -> None:
    stream = new(**config)
    observe_rows(stream, rows)
    assert bits(way(stream)) == bits(stream)


@pytest.mark.parametrize("way", [over_json, over_the_store])
@every_config
def test_a_restored_stream_goes_on_to_the_same_bits(config: Config, way: Any) -> None:
    stream = fed(config)
    observe(stream, {"ir": [[1.0, 2.0], [3.0, None]]})
    copy, rows = way(stream), drawn(seed=1)
    assert one_by_one(copy, rows).tobytes() == one_by_one(stream, rows).tobytes()
    assert bits(copy) == bits(stream)


@every_config
def test_memory_is_bounded(config: Config) -> None:
    sizes = {(len(fed(config, readings).state), len(encode(fed(config, readings)))) for readings in (1000, 20_000)}
    ((state, _),) = sizes
    assert state <= HEADER_SIZE + 3 * (
        base_statistics.SIZE + 1 + METHODS[config.get("method", "online")].size(new(**config).plan.p)
    )


@every_method
def test_streams_merge_or_a_clear_error_says_that_the_method_cannot(method: str) -> None:
    stream, other = fed({"method": method}), fed({"method": method}, seed=1)
    before = bits(stream)
    if METHODS[method].merge is None:
        with pytest.raises(CannotMerge, match=f"the method '{method}' cannot merge: "):
            merge(stream, other, NOW, LIMITS)
        assert bits(stream) == before
    else:
        merge(stream, other, NOW, LIMITS)
        means = [np.nanmean(np.concatenate([drawn()[:, place], drawn(seed=1)[:, place]])) for place in (0, 1)]
        assert stream.count == 600
        assert [stream.mean_std(name)[0] for name in "ab"] == pytest.approx(means, abs=0.2)


@pytest.mark.parametrize("after", NAMES)
@pytest.mark.parametrize("before", NAMES)
def test_another_method_restarts_a_stream_only_where_it_must_and_says_why(before: str, after: str) -> None:
    stream = fed({"method": before})
    reason = reconfigure(stream, plan(configuration({"method": after}, {})), NOW)
    kept = after in {before, "online", "cumulative"}
    assert (reason is None, stream.count) == (kept, 300 if kept else 0)
    assert kept or reason == f"the method {after} keeps other statistics than {before}"


@pytest.mark.parametrize(
    ("method", "parameters", "kept"),
    [
        ("online", {"horizon": 50.0}, True),
        ("online", {"time_constant": 50.0}, True),
        ("batch", {"window": 50}, False),
        ("batch-renorm", {"window": 50}, False),
        ("batch-renorm", {"momentum": 0.5, "r_max": 2.0, "d_max": 1.0}, True),
        ("streaming", {"order": 1}, False),
        ("streaming", {"period": 50, "fold": 0.5, "mix": 0.5}, True),
        ("online-2019", {"alpha_fwd": 0.9, "eps": 1e-3, "compensation": "none"}, True),
        *((method, {"clamp": 3.0, "robust": 3.0, "missing": "mean", "warmup": 3}, True) for method in NAMES),
    ],
)
def test_other_parameters_restart_a_stream_only_where_they_must(method: str, parameters: Config, kept: bool) -> None:  # noqa: FBT001
    stream = fed({"method": method})
    reason = reconfigure(stream, plan(configuration({"method": method} | parameters, {})), NOW)
    assert (reason is None, stream.count) == (kept, 300 if kept else 0)


@pytest.mark.parametrize("after", NAMES)
@pytest.mark.parametrize("before", NAMES)
def test_a_reconfigured_stream_goes_on_and_can_be_restored(before: str, after: str) -> None:
    stream = fed({"method": before})
    reconfigure(stream, plan(configuration({"method": after}, {})), NOW)
    ys = one_by_one(stream, drawn(seed=1))
    assert (np.isnan(ys) == np.isnan(drawn(seed=1))).all()
    assert bits(over_json(stream)) == bits(over_the_store(stream)) == bits(stream)
