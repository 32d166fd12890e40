"""The command `streamnorm filter`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from streamnorm.engine.config import DEFAULT_HORIZON, DEFAULT_WARMUP, parse_configuration
from streamnorm.errors import StoreUnavailable, StreamnormError
from streamnorm.filtering.lines import Filter, Lines, Names, Ndjson, guessed
from streamnorm.filtering.streams import Streams
from streamnorm.formats.line_protocol import DEFAULT_TEMPLATE

FORMATS = {"ndjson": Ndjson, "line": Lines}


def filter_lines(  # noqa: PLR0917 - Typer hands options over by name
    format: Annotated[str, typer.Option(help="ndjson or line (line protocol); by the first line if not given")] = "",  # noqa: A002
    stream_column: Annotated[str, typer.Option(help="member of a JSON line that names its stream")] = "stream",
    time_column: Annotated[str, typer.Option(help="member of a JSON line that holds its time")] = "timestamp",
    line_stream: Annotated[str, typer.Option(help="how points of line protocol name their streams")] = DEFAULT_TEMPLATE,
    suffix: Annotated[str, typer.Option(help="keep the raw fields, and add the normalized ones by this ending")] = "",
    state: Annotated[Path | None, typer.Option(help="file that keeps what was learned for the next run")] = None,
    method: Annotated[str, typer.Option(help="how statistics are kept")] = "online",
    horizon: Annotated[float, typer.Option(help="how many readings “normal” reaches back")] = DEFAULT_HORIZON,
    warmup: Annotated[int, typer.Option(help="readings a feature needs before it is ready")] = DEFAULT_WARMUP,
    config: Annotated[str, typer.Option(help="further parameters of a stream, as a JSON object")] = "{}",
) -> None:
    """Normalize readings line by line, from standard input to standard output, as they arrive.

    Lines are NDJSON (a reading, or a flat object whose numbers are the features) or line protocol, as in Telegraf's
    execd processor. Invalid lines are reported on standard error; the exit status is then 1.
    """
    names = Names(stream_column, time_column, line_stream, suffix)
    try:
        streams = Streams(configured(method, horizon, warmup, config), state)
    except (StreamnormError, ValueError) as error:
        print(f"streamnorm filter: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(2) from None
    if format and format not in FORMATS:
        print(f"streamnorm filter: --format: {format!r} is neither ndjson nor line", file=sys.stderr)  # noqa: T201
        raise typer.Exit(2)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    try:
        refused = run_and_save(format, streams, names)
    except StoreUnavailable as error:
        print(f"streamnorm filter: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1) from None
    raise typer.Exit(1 if refused else 0)


def run_and_save(format: str, streams: Streams, names: Names) -> int:  # noqa: A002
    """Filter standard input and save the `streams` in any case; return how many lines were rejected.

    `format` is `ndjson`, `line` or empty (detect), `names` are the names of members.
    """
    try:
        return run(sys.stdin, sys.stdout, format, streams, names)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.stdout = None  # the reader is gone: nothing to flush at exit
        return 0
    finally:
        streams.save()


def configured(method: str, horizon: float, warmup: int, config: str) -> dict[str, Any]:
    """Build a stream's configuration of the options `method`, `horizon` and `warmup`, and the JSON object `config`."""
    more = parse_configuration(config)
    reach = {} if "time_constant" in more else {"horizon": horizon}
    return {"method": method, "warmup": warmup} | reach | more


def run(lines: Iterable[str], out: TextIO, format: str, streams: Streams, names: Names) -> int:  # noqa: A002
    """Filter `lines` to `out` until they end; return how many were rejected.

    `format` is `ndjson`, `line` or empty (detect), `streams` holds the statistics, `names` are the names of members.
    """
    refused = 0
    work: Filter | None = FORMATS[format](streams, names) if format else None
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if (not text.strip() or text.startswith("#")) and not (work and work.waiting):
            continue
        work = work or FORMATS[guessed(text)](streams, names)
        try:
            written = work(text)
        except (StreamnormError, ValueError) as error:
            refused += 1
            print(f"streamnorm filter: line {number}: {error}", file=sys.stderr, flush=True)  # noqa: T201
            continue
        if written is not None:
            out.write(written + "\n")
            out.flush()
        streams.tick()
    return refused
