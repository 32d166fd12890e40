"""streamnorm in Apache Flink: a keyed operator whose state is each stream's blob (the extra `flink`).

Flink keeps the blobs, checkpoints them exactly once and moves them when a job is rescaled; the arithmetic is the
service's, to the bit. The time of a reading without a timestamp is Flink's: of the event, if there are such times, else
of its arrival.

`key_by`, `timestamp`, `seq`, `rules`, `ttl` and `blobs` are the options that `streamnorm.engines.options.Options`
documents. Inside, `options` are all of them, a `blob` is a stream's state, None before its first reading; `row` is one
of its rows, `now` the time (s since 1970) of a reading without one, and `stream_id` the key. What a job that is drained
leaves goes to the folder `drain_to`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from pyflink.common import Row, Types
from pyflink.common.time import Time
from pyflink.common.typeinfo import ExternalTypeInfo, RowTypeInfo, TypeInformation
from pyflink.datastream import DataStream, KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import StateTtlConfig, ValueState, ValueStateDescriptor
from pyflink.table import StreamTableEnvironment, Table

from streamnorm.engines.arrow import observe_batch, read_batch, write_batch
from streamnorm.engines.options import Options
from streamnorm.engines.rows import ANSWERED, ERROR, Fields, observe_rows
from streamnorm.engines.rules import AnyRules
from streamnorm.errors import InvalidReading, LimitExceeded
from streamnorm.stores.blob_files import save_blobs

#: a stream's blob, as state
BLOB = Types.PRIMITIVE_ARRAY(Types.BYTE())
_ANSWERED_TYPES = [Types.LONG(), Types.BOOLEAN(), Types.LONG(), Types.BOOLEAN(), Types.STRING()]
_STREAMS = Types.ROW_NAMED(["stream", "blob"], [Types.STRING(), BLOB])
#: When a job is drained, all watermarks rise to this time.
_END = 2**63 - 1
#: Streams in a file of blobs.
_FILE = 10_000


def normalize(
    stream: DataStream,
    *,
    key_by: str,
    values: str | Sequence[str],
    timestamp: str | None = None,
    seq: str | None = None,
    rules: AnyRules | None = None,
    ttl: float = 0.0,
    blobs: str | None = None,
    drain_to: str | None = None,
) -> DataStream:
    """Normalize a stream of named rows (`Types.ROW_NAMED`), each stream's in order, and learn from them.

    The rows come out as they came in, but for normalized values and the fields `count`, `ready`, `gap`, `replayed` and
    `error`. `key_by` … `blobs` are the options that `streamnorm.engines.options.Options` documents. When the job is
    drained (`flink stop --drain`), the streams are written to the folder `drain_to`, from which `streamnorm migrate`
    takes them back.

    Raises:
        InvalidReading: the rows have no names, lack a field, or have one of those that are added.
        InvalidConfiguration, InvalidConfigFile: as `Options` says.

    """
    options = Options(key_by=key_by, values=values, timestamp=timestamp, seq=seq, rules=rules, ttl=ttl, blobs=blobs)
    names, types = _fields(stream)
    options.check(names)
    features = options.fields.features
    out = [_normalized(kind) if name in features else kind for name, kind in zip(names, types, strict=True)]
    kind = Types.ROW_NAMED([*names, *ANSWERED], [*out, *_ANSWERED_TYPES])
    return _keyed(stream, Normalize(Rows(tuple(names)), options, drain_to), kind)


def normalize_blocks(
    stream: DataStream,
    *,
    block: str,
    key_by: str,
    values: Sequence[str],
    timestamp: str | None = None,
    seq: str | None = None,
    rules: AnyRules | None = None,
    ttl: float = 0.0,
    blobs: str | None = None,
    drain_to: str | None = None,
) -> DataStream:
    """Normalize a stream of rows that have many readings each: the field `block`, bytes, is an Arrow IPC stream.

    `values`, `timestamp` and `seq` are columns of the blocks, whose rows come out in order, as `normalize` says of its
    own; the other options are those of `normalize`. The rows come out as they came in, with the blocks normalized and
    a field `error`: null, or why a block was refused as a whole; such a block comes out empty.

    Raises:
        InvalidReading, InvalidConfiguration, InvalidConfigFile: as `normalize` says.

    """
    options = Options(
        key_by=key_by, values=tuple(values), timestamp=timestamp, seq=seq, rules=rules, ttl=ttl, blobs=blobs
    )
    names, types = _fields(stream)
    Fields(block).check(names)
    options.check_key(names)
    options.check_columns()
    kind = Types.ROW_NAMED([*names, ERROR], [*types, Types.STRING()])
    return _keyed(stream, Normalize(Blocks(names.index(block)), options, drain_to), kind)


def normalize_table(environment: StreamTableEnvironment, table: Table, **options: Any) -> Table:
    """Normalize the rows of a table; the options are those of `normalize`.

    Raises:
        InvalidReading, InvalidConfiguration, InvalidConfigFile: as `normalize` says.

    """
    return environment.from_data_stream(normalize(environment.to_data_stream(table), **options))


@dataclasses.dataclass(frozen=True)
class Rows:
    """What is done to rows that are a reading each."""

    names: tuple[str, ...]

    def observe(
        self, blob: bytes | None, row: Row, options: Options, now: float, stream_id: str
    ) -> tuple[bytes | None, Row]:
        """Observe a row."""
        given = [dict(zip(self.names, row, strict=True))]
        blob, (answer,) = observe_rows(blob, given, options.fields, options.rulebook, now, stream_id=stream_id)
        return blob, Row(*answer.values())


@dataclasses.dataclass(frozen=True)
class Blocks:
    """What is done to rows that have a block of readings each, at the place `block`."""

    block: int

    def observe(
        self, blob: bytes | None, row: Row, options: Options, now: float, stream_id: str
    ) -> tuple[bytes | None, Row]:
        """Observe a block."""
        out, why = b"", None
        try:
            batch = read_batch(bytes(row[self.block]))
            blob, batch = observe_batch(blob, batch, options.fields, options.rulebook, now, stream_id=stream_id)
            out = write_batch(batch)
        except (InvalidReading, LimitExceeded) as error:
            why = str(error)
        return blob, Row(*(out if place == self.block else value for place, value in enumerate(row)), why)


@dataclasses.dataclass
class Normalize(KeyedProcessFunction):  # type: ignore[misc]  # pyflink has no types
    """The operator."""

    work: Rows | Blocks
    options: Options
    drain_to: str | None

    def open(self, runtime_context: RuntimeContext) -> None:
        """Ask for the state, when the job begins or goes on."""
        descriptor = ValueStateDescriptor("stream", BLOB)
        if self.options.ttl:
            ttl = Time.milliseconds(int(1000 * self.options.ttl))
            descriptor.enable_time_to_live(StateTtlConfig.new_builder(ttl).build())
        self._blob: ValueState = runtime_context.get_state(descriptor)
        self._drained: dict[str, bytes] = {}

    def close(self) -> None:
        """Write what was drained."""
        if self._drained and self.drain_to is not None:
            save_blobs(self.drain_to, self._drained)
            self._drained = {}

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Observe a row."""
        blob, stream_id = self._blob.value(), ctx.get_current_key()
        before = self.options.blob(stream_id) if blob is None else bytes(blob)
        timers, time = ctx.timer_service(), ctx.timestamp()
        if blob is None and self.drain_to is not None:
            timers.register_event_time_timer(_END)
        now = (timers.current_processing_time() if time is None or time < 0 else time) / 1000.0
        after, answer = self.work.observe(before, value, self.options, now, stream_id)
        if after is not None:
            self._blob.update(after)
        yield answer

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> tuple[Row, ...]:
        """Keep a stream to be written, for the job is drained; no row comes of it."""
        blob = self._blob.value()
        if timestamp == _END and blob is not None:
            self._drained[ctx.get_current_key()] = bytes(blob)
            if len(self._drained) >= _FILE:
                self.close()
        return ()


def _keyed(stream: DataStream, operator: Normalize, kind: TypeInformation) -> DataStream:
    names, _ = _fields(stream)
    place = names.index(operator.options.key_by)
    keyed = stream.key_by(lambda row: str(row[place]), key_type=Types.STRING())
    return keyed.process(operator, kind).name("streamnorm").uid("streamnorm")


def _fields(stream: DataStream) -> tuple[list[str], list[TypeInformation]]:
    kind = stream.get_type()
    kind = kind._type_info if isinstance(kind, ExternalTypeInfo) else kind  # noqa: SLF001 - it has no other way
    if not isinstance(kind, RowTypeInfo):
        raise InvalidReading.at("", f"the stream must have rows with names (Types.ROW_NAMED), not {kind}")
    return list(kind.get_field_names()), list(kind.get_field_types())


def _normalized(kind: TypeInformation) -> TypeInformation:
    """Return the type of a field's normalized values: of numbers DOUBLE, others stay as they are."""
    numbers = (Types.BYTE(), Types.SHORT(), Types.INT(), Types.LONG(), Types.FLOAT(), Types.BOOLEAN())
    return Types.DOUBLE() if kind in numbers else kind
