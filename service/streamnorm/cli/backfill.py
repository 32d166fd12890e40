"""The command `streamnorm backfill`."""

from __future__ import annotations

import signal
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from streamnorm.backfill.files import form_of
from streamnorm.backfill.run import CHUNK_ROWS, Done, Work, backfill
from streamnorm.backfill.shapes import Columns
from streamnorm.engine.config import parse_configuration
from streamnorm.errors import StreamnormError
from streamnorm.formats.ids import fitting

if TYPE_CHECKING:
    from streamnorm.backfill.sinks import Sink


class Rate(ProgressColumn):
    """A progress column with the rows per second."""

    def render(self, task: Task) -> Text:
        """Show the rate since the start."""
        rows = task.fields["rows"]
        return Text(f"{rows / task.elapsed:,.0f} rows/s" if task.elapsed and rows else "")


def backfill_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV, NDJSON or Parquet")],
    *,
    stream: Annotated[str, typer.Option(help="id of the stream; the file's name if not given")] = "",
    stream_column: Annotated[str | None, typer.Option(help="column that names each row's stream")] = None,
    time_column: Annotated[str | None, typer.Option(help="column of RFC 3339 times or epoch seconds")] = None,
    features: Annotated[str, typer.Option(help="columns to normalize: a,b,c; all that hold numbers if not given")] = "",
    feature_column: Annotated[
        str | None, typer.Option(help="long tables: column that names what the row's value is of")
    ] = None,
    value_column: Annotated[str, typer.Option(help="long tables: column of the values")] = "value",
    format: Annotated[str, typer.Option(help="csv, ndjson or parquet; by the file's ending if not given")] = "",  # noqa: A002
    out: Annotated[
        Path | None, typer.Option(help="file for the normalized rows; its extension decides the format")
    ] = None,
    url: Annotated[str, typer.Option(help="address of a running service; the data folder if not given")] = "",
    data_dir: Annotated[
        Path, typer.Option(envvar="STREAMNORM_DATA_DIR", help="folder of the streams, of a service that is stopped")
    ] = Path("streamnorm-data"),
    config: Annotated[str, typer.Option(help='of streams that are new, as JSON: {"method": "adaptive"}')] = "{}",
    restart: Annotated[bool, typer.Option("--restart", help="forget a backfill that was begun")] = False,
) -> None:
    """Normalize a recorded file, and leave its streams warmed up.

    An interrupted run is resumed by the same command. Afterwards a service can use the streams; with --url it has them
    already. Meanwhile no other process should write to them.
    """
    console = Console(stderr=True)
    try:
        names = tuple(part.strip() for part in features.split(",")) if features else None
        columns = Columns(
            fitting(stream or file.name.split(".")[0]), stream_column, time_column, feature_column, value_column, names
        )
        work = Work(file, form_of(file, format), columns, out, form_of(out) if out else "csv", CHUNK_ROWS)
        if restart:
            work.journal.unlink(missing_ok=True)
        done = carried_out(work, console, url, data_dir, parse_configuration(config))
    except (StreamnormError, ValueError, OSError) as error:
        print(f"streamnorm backfill: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)  # noqa: T201
        raise typer.Exit(130) from None
    tell(console, work, done, url or str(data_dir))


def carried_out(work: Work, console: Console, url: str, data_dir: Path, config: dict[str, Any]) -> Done:
    """Run the backfill `work` with a progress bar on the `console`.

    The streams, new ones with `config`, are in the service at `url`, or if that is empty, in `data_dir`.
    """
    from streamnorm.backfill.sinks import local, remote  # noqa: PLC0415 - the SDK, an extra, is needed only here
    from streamnorm_client import StreamnormError as ClientError  # noqa: PLC0415

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    opened: AbstractContextManager[Sink] = remote(url, config) if url else local(data_dir, config)
    name, left = TextColumn("{task.description}"), TextColumn("left")
    shown = (name, BarColumn(), TaskProgressColumn(), Rate(), left, TimeRemainingColumn())
    try:
        with opened as sink, Progress(*shown, console=console) as bar:
            task = bar.add_task(work.file.name, total=1.0, rows=0)
            return backfill(work, sink, lambda rows, part: bar.update(task, completed=part, rows=rows))
    except ClientError as error:
        raise ValueError(str(error)) from error


def tell(console: Console, work: Work, done: Done, where: str) -> None:
    """Print a summary of the `work` and its result `done` on the `console`; `where` names the streams' store."""
    resumed = f" (the first {done.resumed_at:,} of them in an earlier run)" if done.resumed_at else ""
    console.print(f"{done.rows:,} rows{resumed} in {done.streams:,} streams, warmed up in {where}", highlight=False)
    if work.out is not None:
        console.print(f"normalized rows: {work.out}", highlight=False, soft_wrap=True)
    for columns, what in (done.touched, "normalized"), (done.untouched, "left as they are"):
        if columns:
            console.print(f"columns {what}: {', '.join(columns)}", highlight=False, soft_wrap=True)
