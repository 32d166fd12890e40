"""The command `streamnorm filter`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TextIO, cast, get_args

import typer

from streamnorm import platforms
from streamnorm.cli.compiling import announce_compiling
from streamnorm.engine.configuration.config import DEFAULT_HORIZON, DEFAULT_WARMUP
from streamnorm.engine.configuration.text import parse_configuration
from streamnorm.errors import StoreUnavailable, StreamnormError
from streamnorm.filtering.lines import Filter, Format, Names, guessed
from streamnorm.filtering.ndjson import Ndjson
from streamnorm.filtering.streams import Streams
from streamnorm.filtering.tally import Tally
from streamnorm.formats.ids import DEFAULT_TEMPLATE
from streamnorm.formats.states import parse_states
from streamnorm.kernels import compile_on_use, interpret

if TYPE_CHECKING:
    from streamnorm.mappings import Catalogue

#: bytes that are taken together if so many have arrived: some thousand lines
AT_ONCE = 2**18
#: lines that are filtered before a compiler is loaded, which takes as long
FEW = 50_000
HELP = '--strings takes texts such as "20.3" as numbers, --states ON=1,OFF=0 gives texts a value'


def filter_lines(  # noqa: PLR0917 - Typer hands options over by name
    format: Annotated[str, typer.Option(help="ndjson or line (line protocol); by the first line if not given")] = "",  # noqa: A002
    stream_column: Annotated[str, typer.Option(help="member of a JSON line that names its stream")] = "stream",
    time_column: Annotated[str, typer.Option(help="member of a JSON line that holds its time")] = "timestamp",
    line_stream: Annotated[str, typer.Option(help="how points of line protocol name their streams")] = DEFAULT_TEMPLATE,
    suffix: Annotated[str, typer.Option(help="keep the raw fields, and add the normalized ones by this ending")] = "",
    strings: Annotated[bool, typer.Option("--strings", help='take texts such as "20.3" as numbers')] = False,  # noqa: FBT002
    states: Annotated[list[str] | None, typer.Option(help="value of a text: ON=1,OFF=0")] = None,
    missing: Annotated[list[str] | None, typer.Option(help="text that means that there is no value")] = None,
    mapping: Annotated[str, typer.Option(help="mapping or preset that makes readings of a device's messages")] = "",
    state: Annotated[Path | None, typer.Option(help="file that keeps what was learned for the next run")] = None,
    method: Annotated[str, typer.Option(help="how statistics are kept")] = "online",
    horizon: Annotated[float, typer.Option(help="how many readings “normal” reaches back")] = DEFAULT_HORIZON,
    warmup: Annotated[int, typer.Option(help="readings a feature needs before it is ready")] = DEFAULT_WARMUP,
    config: Annotated[str, typer.Option(help="further parameters of a stream, as a JSON object")] = "{}",
) -> None:
    """Normalize readings line by line, from standard input to standard output, as they arrive.

    Lines are NDJSON (a reading, or a flat object whose numbers are the features) or line protocol, as in Telegraf's
    execd processor; with --mapping they are messages as a device sends them, perhaps behind their topics. Invalid lines
    are reported on standard error; the exit status is then 1, and so it is where no line held a number.
    """
    try:
        known = MappingProxyType(parse_states(states or ()))
        names = Names(stream_column, time_column, line_stream, suffix, strings, known, frozenset(missing or ()))
        streams = Streams(configured(method, horizon, warmup, config), state)
        work = work_of(format, mapping, streams, names)
    except (StreamnormError, ValueError) as error:
        print(f"streamnorm filter: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(2) from None
    platforms.interrupt_on_stop()
    interpret()
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
    try:
        failed = run_and_save(work, streams, names)
    except StoreUnavailable as error:
        print(f"streamnorm filter: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1) from None
    raise typer.Exit(1 if failed else 0)


def work_of(format: str, mapping: str, streams: Streams, names: Names) -> Filter | None:  # noqa: A002
    """Build the filter of lines of a `format`, or of messages for a `mapping`; None if the first line is to tell.

    `streams` holds the statistics, `names` are the names of members.

    Raises:
        MappingNotFound: there is no mapping of this name.
        InvalidConfigFile: the file of the service's mappings is invalid.
        ValueError: there is no format of this name.

    """
    if mapping:
        from streamnorm.filtering.mapped import Mapped  # noqa: PLC0415 - few need it, and all wait for it

        return Mapped(streams, known_mappings().find(mapping), names.suffix)
    if format and format not in get_args(Format):
        raise ValueError(f"--format: {format!r} is neither ndjson nor line")
    return filter_of(cast("Format", format), streams, names) if format else None


def filter_of(format: Format, streams: Streams, names: Names) -> Filter:  # noqa: A002
    """Build the filter of lines of a `format`; `streams` holds the statistics, `names` are the names of members."""
    if format == "ndjson":
        return Ndjson(streams, names)
    from streamnorm.filtering.line_protocol import Lines  # noqa: PLC0415 - as above

    return Lines(streams, names)


def known_mappings() -> Catalogue:
    """Return the mappings of the service's file, if STREAMNORM_CONFIG names one, and the presets.

    Raises:
        InvalidConfigFile: the file is invalid.

    """
    from streamnorm.mappings import Catalogue  # noqa: PLC0415 - as above

    path = os.environ.get("STREAMNORM_CONFIG")
    if not path:
        return Catalogue()
    from streamnorm import config_file  # noqa: PLC0415 - as above

    return config_file.read(Path(path)).mappings


def run_and_save(work: Filter | None, streams: Streams, names: Names) -> bool:
    """Filter standard input with `work` and save the `streams` in any case; return whether that failed.

    If `work` is None, the first line tells the format, and `names` are the names of members.
    """
    try:
        return run(arriving(sys.stdin.buffer), sys.stdout, work, streams, names)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.stdout = None  # the reader is gone: nothing to flush at exit
        return False
    finally:
        streams.save()


def configured(method: str, horizon: float, warmup: int, config: str) -> dict[str, Any]:
    """Build a stream's configuration of the options `method`, `horizon` and `warmup`, and the JSON object `config`."""
    more = parse_configuration(config)
    reach = {} if "time_constant" in more else {"horizon": horizon}
    return {"method": method, "warmup": warmup} | reach | more


def run(lines: Iterable[list[str]], out: TextIO, work: Filter | None, streams: Streams, names: Names) -> bool:
    """Filter `lines`, as many at once as have arrived, with `work` to `out` until they end.

    If `work` is None, the first line tells the format; `streams` holds the statistics, `names` are the members' names.
    Returns whether a line was rejected, or none held a number.
    """
    refused, number = 0, 0
    for arrived in lines:
        first = next((text for text in arrived if _is_reading(text, None)), None)
        if work is None and first is not None:
            work = filter_of(guessed(first), streams, names)
        texts = [(n, text) for n, text in enumerate(arrived, number + 1) if _is_reading(text, work)]
        number += len(arrived)
        if work is None or not texts:
            continue
        for (place, _), written in zip(texts, _filtered(work, [text for _, text in texts]), strict=True):
            if isinstance(written, Exception):
                refused += 1
                print(f"streamnorm filter: line {place}: {written}", file=sys.stderr, flush=True)  # noqa: T201
            elif written is not None:
                out.write(written + "\n")
        out.flush()
        streams.tick()
        if number >= FEW > number - len(arrived):
            announce_compiling("filter")
            compile_on_use()
    if refused:
        print(f"streamnorm filter: {refused} of {number} lines were refused, and left out", file=sys.stderr)  # noqa: T201
    tally = Tally() if work is None else work.tally
    if lacking := tally.lines - tally.held:
        told = f"{lacking} of {tally.lines} lines held no number, and stay as they are"
        print(f"streamnorm filter: {told}{'' if tally.held else f'; {HELP}'}", file=sys.stderr)  # noqa: T201
    return refused > 0 or (tally.lines > 0 and not tally.held)


def arriving(file: BinaryIO) -> Iterator[list[str]]:
    """Read the lines of a pipe as they arrive: those of one piece together, without waiting for more."""
    rest, first = b"", True
    while data := file.read1(AT_ONCE) if hasattr(file, "read1") else file.read():
        *lines, rest = (rest + data).split(b"\n")
        texts = [line.decode(errors="replace").rstrip("\r") for line in lines]
        if first and texts:
            texts[0], first = texts[0].removeprefix("\ufeff"), False
        if texts:
            yield texts
    if rest:
        yield [rest.decode(errors="replace").removeprefix("\ufeff" if first else "")]


def _is_reading(text: str, work: Filter | None) -> bool:
    """Return whether a line holds something; within a text of line protocol every line does."""
    return (work is not None and work.every_line) or (bool(text.strip()) and not text.startswith("#"))


def _filtered(work: Filter, texts: Sequence[str]) -> Iterator[str | Exception | None]:
    if isinstance(work, Ndjson):
        yield from work.many(texts)
        return
    for text in texts:
        if (not text.strip() or text.startswith("#")) and not work.waiting:
            yield None
            continue
        try:
            yield work(text)
        except (StreamnormError, ValueError) as error:
            yield error
