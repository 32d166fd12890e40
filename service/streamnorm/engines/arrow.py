"""Arrow record batches of one stream's readings: columns in, columns out.

`rules` are what `streamnorm.engines.rules` says, `now` is the time (s since 1970) of readings without one, and
`stream_id` names the stream that the rules are for; `fields` say which columns hold what.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from streamnorm.engines.blobs import Table, observe_table
from streamnorm.engines.rows import COUNT, ERROR, GAP, READY, REPLAYED, Fields
from streamnorm.engines.rules import AnyRules
from streamnorm.errors import InvalidReading


def observe_batch(
    blob: bytes | None, batch: pa.RecordBatch, fields: Fields, rules: AnyRules, now: float, *, stream_id: str = ""
) -> tuple[bytes | None, pa.RecordBatch]:
    """Observe a batch's rows in their order; returns them normalized, with the columns `ANSWERED`.

    Features are columns of numbers, null where a value is missing; the time is a column of numbers or of timestamps.

    >>> batch = pa.RecordBatch.from_pydict({"x": [20.0, 22.0]})
    >>> blob, done = observe_batch(None, batch, Fields(("x",)), {}, 0.0)
    >>> done.column("x").to_numpy().round(3).tolist(), done.column("count").to_pylist()
    ([0.0, 0.999], [1, 2])

    Raises:
        InvalidReading: the batch lacks a column, has one of those that are added, or a feature is no column of numbers.
        InvalidConfiguration, StoreCorrupt: as `observe_blob` says.

    """
    names = fields.features
    fields.check(batch.schema.names)
    try:
        columns = [batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False) for name in names]
        times = None if fields.timestamp is None else _seconds(batch.column(fields.timestamp))
        seqs = None if fields.seq is None else batch.column(fields.seq).cast(pa.int64()).fill_null(-1)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidReading.at("", f"a column cannot be taken as numbers: {error}") from None
    table = Table(names, np.column_stack(columns), times, None if seqs is None else seqs.to_numpy())
    blob, answer = observe_table(blob, table, rules, now, stream_id=stream_id)
    refused = np.zeros(len(batch), dtype=bool)
    refused[list(answer.errors)] = True
    why = [str(answer.errors[row]) if row in answer.errors else None for row in range(len(batch))]
    made = {name: pa.array(ys, mask=np.isnan(ys)) for name, ys in zip(names, answer.values.T, strict=True)}
    made |= {
        COUNT: pa.array(answer.counts, mask=refused),
        READY: pa.array(answer.ready, mask=refused),
        GAP: pa.array(answer.gaps, mask=refused),
        REPLAYED: pa.array(answer.replayed, mask=refused),
        ERROR: pa.array(why, pa.string()),
    }
    kept = {name: batch.column(name) for name in batch.schema.names}
    return blob, pa.RecordBatch.from_pydict(kept | made)


def read_batch(data: bytes) -> pa.RecordBatch:
    """Read a stream of Arrow's IPC format as one batch.

    Raises:
        InvalidReading: it is none.

    """
    try:
        table = pa.ipc.open_stream(data).read_all().combine_chunks()
        batches = table.to_batches()
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidReading.at("", f"no Arrow IPC stream: {error}") from None
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def write_batch(batch: pa.RecordBatch) -> bytes:
    """Write a batch as a stream of Arrow's IPC format."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _seconds(stamps: pa.Array) -> np.ndarray:
    """Return times in seconds since 1970, NaN for none."""
    if not pa.types.is_timestamp(stamps.type):
        found: np.ndarray = stamps.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return found
    micros = stamps.cast(pa.timestamp("us", stamps.type.tz), safe=False).cast(pa.int64())
    return np.where(stamps.is_null(), np.nan, micros.fill_null(0).to_numpy(zero_copy_only=False) / 1e6)
