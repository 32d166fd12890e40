"""The command `streamnorm backfill`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamnorm import platforms
from streamnorm.cli import import_without
from streamnorm.cli.compiling import announce_compiling

if TYPE_CHECKING:
    from streamnorm.backfill.sinks.sink import Sink
    from streamnorm.backfill.work.conduct import Looked, Order
    from streamnorm.backfill.work.run import Done

LAYOUT, COLUMNS, TIMES, VALUES, RESULT = (
    "How the file is written",
    "What the columns are",
    "Times",
    "Values",
    "The result",
)
BAD_CELLS = 3
#: bytes of recordings, some 100 000 values, that are done before a compiler would be loaded
SMALL = 2**20


def backfill_file(
    files: Annotated[list[str], typer.Argument(help="files, folders or globs; - is standard input")],
    *,
    out: Annotated[
        str | None, typer.Option(help="file of the normalized rows, or a folder: one file each", rich_help_panel=RESULT)
    ] = None,
    suffix: Annotated[
        str,
        typer.Option(help="keep the raw columns, and add the normalized ones by this ending", rich_help_panel=RESULT),
    ] = "",
    precision: Annotated[
        int | None, typer.Option(min=0, max=17, help="digits behind the decimal point", rich_help_panel=RESULT)
    ] = None,
    format: Annotated[  # noqa: A002
        str, typer.Option(help="csv, ndjson or parquet; by the ending of --out if not given", rich_help_panel=RESULT)
    ] = "",
    report: Annotated[
        Path | None,
        typer.Option(help="picture of each feature, raw and normalized: .html or .png", rich_help_panel=RESULT),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--columns", "--features", help="columns to normalize: a,b or a*", rich_help_panel=COLUMNS),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="columns that are no sensors: a,b or a*", rich_help_panel=COLUMNS)
    ] = None,
    stream: Annotated[
        str,
        typer.Option(help="id of the stream, or a pattern of {file}, {folder} and columns", rich_help_panel=COLUMNS),
    ] = "",
    stream_column: Annotated[
        str, typer.Option(help="column that names each row's stream", rich_help_panel=COLUMNS)
    ] = "",
    feature_column: Annotated[
        str, typer.Option(help="long tables: column that names what the row's value is of", rich_help_panel=COLUMNS)
    ] = "",
    value_column: Annotated[str, typer.Option(help="long tables: column of the values", rich_help_panel=COLUMNS)] = "",
    time_column: Annotated[
        list[str] | None,
        typer.Option(help="column of the times; twice for a date and a time of the day", rich_help_panel=TIMES),
    ] = None,
    time_format: Annotated[
        str, typer.Option(help="dmy, mdy, ymd, or as Python's strptime has it: %d/%m/%y %H:%M", rich_help_panel=TIMES)
    ] = "",
    time_zone: Annotated[
        str,
        typer.Option(
            help="zone of times that name none: Europe/Berlin, +01:00; UTC if not given", rich_help_panel=TIMES
        ),
    ] = "",
    time_unit: Annotated[
        str, typer.Option(help="of times that are numbers: s, ms, us, ns, min, h, d, excel", rich_help_panel=TIMES)
    ] = "",
    missing: Annotated[
        list[str] | None,
        typer.Option(help="what means that there is no value: -200, NAME=-200, ERR", rich_help_panel=VALUES),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", "--states", help="value of a text: ON=1,OFF=0", rich_help_panel=VALUES),
    ] = None,
    decimal: Annotated[str, typer.Option(help="decimal sign", rich_help_panel=VALUES)] = "",
    thousands: Annotated[str | None, typer.Option(help="sign between thousands", rich_help_panel=VALUES)] = None,
    on_bad_row: Annotated[
        str,
        typer.Option(help="a cell that is no value: null (missing), skip (the row) or stop", rich_help_panel=VALUES),
    ] = "null",
    input_format: Annotated[
        str, typer.Option(help="csv, ndjson or parquet; by what the file is if not given", rich_help_panel=LAYOUT)
    ] = "",
    preset: Annotated[
        str, typer.Option(help="hobo, toa5, lvm, … or none; by the first lines if not given", rich_help_panel=LAYOUT)
    ] = "",
    delimiter: Annotated[str, typer.Option(help="what is between cells: ; tab blanks", rich_help_panel=LAYOUT)] = "",
    quote: Annotated[str | None, typer.Option(help="what is around cells", rich_help_panel=LAYOUT)] = None,
    comment: Annotated[str | None, typer.Option(help="what comments begin with", rich_help_panel=LAYOUT)] = None,
    encoding: Annotated[str, typer.Option(help="utf-8, utf-16, cp1252, …", rich_help_panel=LAYOUT)] = "",
    skip_rows: Annotated[int, typer.Option(min=0, help="lines before the table", rich_help_panel=LAYOUT)] = 0,
    no_header: Annotated[
        bool, typer.Option("--no-header", help="no line names the columns", rich_help_panel=LAYOUT)
    ] = False,
    names: Annotated[str, typer.Option(help="names of all columns: a,b,c", rich_help_panel=LAYOUT)] = "",
    sheet: Annotated[str, typer.Option(help="sheet of a workbook", rich_help_panel=LAYOUT)] = "",
    url: Annotated[str, typer.Option(help="address of a running service; the data folder if not given")] = "",
    data_dir: Annotated[
        Path, typer.Option(envvar="STREAMNORM_DATA_DIR", help="folder of the streams, of a service that is stopped")
    ] = Path("streamnorm-data"),
    config: Annotated[str, typer.Option(help='of streams that are new, as JSON: {"method": "adaptive"}')] = "{}",
    again: Annotated[bool, typer.Option("--again", help="learn what was learned before once more")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show what was found and ten rows, and learn nothing")
    ] = False,
) -> None:
    """Normalize recorded files, and leave their streams warmed up.

    What a file is like is found and told before the work begins; options override each finding. Run again after a stop,
    it continues where it was; a file that was learned is not learned twice, and one that grew is continued. The status
    is 3 if cells were bad.
    """
    from streamnorm.backfill.options import order_of  # noqa: PLC0415 - --help needs none of it

    try:
        order = order_of(locals())
    except ValueError as error:
        print(f"streamnorm backfill: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(2) from None
    raise typer.Exit(carried_out(order, files, report, dry_run=dry_run))


def carried_out(order: Order, files: Sequence[str], report: Path | None, *, dry_run: bool) -> int:  # noqa: C901 - each error has its status
    """Do what the `order` asks for with `files`, draw the `report` if there is one, and return the exit status.

    With `dry_run`, nothing is learned.
    """
    from rich.console import Console  # noqa: PLC0415

    from streamnorm.backfill import show  # noqa: PLC0415
    from streamnorm.backfill.files.containers import DAMAGED  # noqa: PLC0415
    from streamnorm.backfill.reading import recordings  # noqa: PLC0415
    from streamnorm.backfill.work import conduct  # noqa: PLC0415
    from streamnorm.backfill.writing import results  # noqa: PLC0415
    from streamnorm.errors import StreamnormError  # noqa: PLC0415

    platforms.interrupt_on_stop()
    console = Console(stderr=True)
    try:
        found = recordings.meant(files)
        screen = show.Screen(console, found)
        drawn = _pictures(report)
    except (StreamnormError, ValueError, OSError) as error:
        return refused(str(error))
    done: list[tuple[Path, Done]] = []
    failed = 0
    errors = (StreamnormError, ValueError, OSError, *DAMAGED)
    try:
        with screen, conduct.Conductor(order, _sink(order, found), screen) as conductor:
            for file, out in results.results(found, order.out, order.format):
                screen.next()
                try:
                    if dry_run:
                        looked = conductor.looked(file)
                        screen.found(looked)
                        show.dry(console, *_preview(looked, order))
                        continue
                    each = conductor.done(file, out, drawn.heard if drawn else None)
                except errors as error:
                    failed = max(failed, refused(f"{file}: {error}", error))
                    continue
                if each is not None:
                    done.append((file, each))
        if order.out is not None and len(found) > 1 and not failed:
            results.put_together(order.out, len(found))
        if drawn is not None and report is not None and not dry_run:
            drawn.draw(report)
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)  # noqa: T201
        return 130
    except errors as error:
        return refused(str(error))
    for file, each in done:
        screen.troubles(file, each)
    if done:
        screen.summed_up(done, order.url or str(order.folder))
        if order.out is not None:
            screen.say(f"normalized rows: {order.out}")
    return failed or (BAD_CELLS if any(each.bad for _, each in done) else 0)


def refused(text: str, error: Exception | None = None) -> int:
    """Tell why nothing was done; returns the status."""
    from streamnorm.backfill.unreadable import BadCell  # noqa: PLC0415

    print(f"streamnorm backfill: {text}", file=sys.stderr)  # noqa: T201
    return BAD_CELLS if isinstance(error, BadCell) else 1


def _sink(order: Order, found: Sequence[Path]) -> Callable[[], AbstractContextManager[Sink]]:
    def opened() -> AbstractContextManager[Sink]:
        if order.url:
            from streamnorm.backfill.sinks.remote import remote  # noqa: PLC0415 - not where there is nothing to do

            return remote(order.url, order.config)
        import_without("ssl", "asyncio")  # asyncio loads OpenSSL, a twentieth of the start
        from streamnorm.backfill.sinks.local import local  # noqa: PLC0415 - as above
        from streamnorm.kernels import interpret  # noqa: PLC0415 - as above

        if sum(path.stat().st_size for path in found if path.is_file()) < SMALL:
            interpret()
        else:
            announce_compiling("backfill")
        return local(order.folder, order.config)

    return opened


def _preview(looked: Looked, order: Order) -> tuple[list[str], list[list[str]]]:
    from streamnorm.backfill.work.preview import preview  # noqa: PLC0415 - as above
    from streamnorm.kernels import interpret  # noqa: PLC0415 - as above

    interpret()
    return preview(looked, order.config)


def _pictures(report: Path | None) -> Any:
    if report is None:
        return None
    from streamnorm.backfill.writing.report import Pictures  # noqa: PLC0415 - an extra, and slow to import

    return Pictures(report)
