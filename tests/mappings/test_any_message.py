"""Whatever a device sends, a mapping makes readings of it or says why not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnorm.engine.limits import Limits
from streamnorm.engine.names import name_fault, stream_id_fault
from streamnorm.errors import InvalidReading
from streamnorm.mappings import Message, mapping_of, preset_names

PRESETS = [mapping_of({"preset": name}) for name in preset_names()]
#: the words by which presets find their way, so that documents are not all nobody's
KEYS = sorted(
    {part for each in PRESETS for pointer in (*each.root, *each.each, *each.time, *each.seq) for part in pointer}
    | {part for each in PRESETS for pointer in each.stream.pointers for part in pointer}
    | {"temperature", "ts", "value", "name", "resourceName", "value_type", "a/b~c", "", "\u0301"}
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9),
    st.sampled_from(["21,4 °C", "ON", "2026-11-22T09:00:00Z", "2026-11-22 09:00", 1_795_338_000_000, "eyJ4IjogMX0="]),
)  # fmt: skip
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)
BODIES = st.one_of(DOCUMENTS.map(lambda document: json.dumps(document).encode()), st.binary(max_size=60))
TOPICS = st.lists(st.sampled_from(["a", "客 厅", "~", "x" * 200, "\u0301", ""]), min_size=1, max_size=7).map("/".join)


@pytest.mark.parametrize("mapping", PRESETS, ids=[each.name for each in PRESETS])
@settings(max_examples=25, deadline=None)
@given(body=BODIES, topic=TOPICS, media=st.sampled_from(["", "application/x-www-form-urlencoded", "text/plain"]))
def test_a_message_becomes_valid_readings_or_a_refusal_that_says_why(
    mapping: Any, body: bytes, topic: str, media: str
) -> None:
    variables = {"device": topic, "stream": topic} if topic else {}
    try:
        found = mapping.readings(Message(body, topic, variables, media), Limits())
    except InvalidReading as error:
        faults, found = error.faults, []
    else:
        faults = ()
    assert bool(found) != bool(faults) or (
        mapping.format == "otlp" and not faults
    )  # of no point there is nothing to refuse
    assert all(fault.detail.startswith(f"mapping {mapping.name!r}: ") for fault in faults)
    for stream, reading, _ in found:
        assert stream_id_fault(stream) is None
        assert [name for name in reading.names if name_fault(name) is not None] == []
        assert reading.timestamp is None or 946_684_800 <= reading.timestamp < 4_102_444_800
