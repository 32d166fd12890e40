"""`streamnorm migrate`: copies all streams and keys from one store to another."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streamnorm.auth.ports import EditableApiKeys
from streamnorm.backends import editable_api_keys, shared_blob_endpoint
from streamnorm.errors import StoreError
from streamnorm.settings import SHARED_STORES, Settings, is_shared
from streamnorm.stores.blob_files import BlobFiles
from streamnorm.stores.copy import BlobEndpoint, SQLiteEndpoint, Tally, copy_blobs
from streamnorm.stores.local.sqlite import DATABASE_FILE, SQLiteStore

SQLITE = "sqlite://"
#: a folder of Arrow files, which `streamnorm.engines` read and write
FILES = "blobs://"
PREFIX = Settings.model_fields["store_prefix"].default
ADDRESS = f"{SQLITE}/folder, {FILES}/folder, or {', '.join(f'{scheme}…' for scheme in SHARED_STORES)}"


def migrate(
    source: Annotated[str, typer.Option("--from", metavar="STORE", help=f"where the streams are: {ADDRESS}")],
    target: Annotated[str, typer.Option("--to", metavar="STORE", help="where to copy them, in the same form")],
    *,
    store_prefix: Annotated[
        str, typer.Option(envvar="STREAMNORM_STORE_PREFIX", help="prefix of the names of a shared store's keys")
    ] = PREFIX,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace streams that the target has with another state")
    ] = False,
) -> None:
    """Copy all streams and keys from one store to another, while no service runs on either.

    Every stream is read back and compared. An interrupted copy is resumed by the same command. A folder of Arrow files
    (blobs://), which Flink and Spark read and write, has streams only, no keys.
    """
    try:
        tally, total = asyncio.run(_copied(source, target, store_prefix, overwrite=overwrite))
        keys = 0 if FILES in (source[: len(FILES)], target[: len(FILES)]) else _adopted(source, target, store_prefix)
    except StoreError as error:
        typer.echo(f"streamnorm migrate: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(
        f"{tally.seen} streams: {tally.copied} copied, {tally.same} there before; {keys} keys copied; "
        f"the target has {total} streams, all read back"
    )
    if tally.different:
        typer.echo(
            f"{tally.different} streams differ in the target and were left so; --overwrite replaces them", err=True
        )
        raise typer.Exit(1)


async def _copied(source: str, target: str, prefix: str, *, overwrite: bool) -> tuple[Tally, int]:
    """Copy the streams with a progress bar; return the tally, and the number of streams in the target."""
    origin = _endpoint(source, prefix, must_exist=True)
    try:
        destination = _endpoint(target, prefix)
        try:
            tally = Tally()
            columns = (TextColumn("streams"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            with Progress(*columns, console=Console(stderr=True)) as progress:
                bar = progress.add_task("", total=await origin.count())
                async for tally in copy_blobs(origin, destination, overwrite=overwrite):
                    progress.update(bar, completed=tally.seen)
            if tally.seen != (expected := await origin.count()):
                raise StoreError(f"{tally.seen} streams were copied of {expected}: is a service running on the source?")
            return tally, await destination.count()
        finally:
            await destination.close()
    finally:
        await origin.close()


def _endpoint(store: str, prefix: str, *, must_exist: bool = False) -> BlobEndpoint:
    if is_shared(store):
        return shared_blob_endpoint(store, prefix)
    if store.startswith(FILES):
        return _files(Path(store.removeprefix(FILES)), must_exist=must_exist)
    folder = _folder(store)
    if must_exist and not (folder / DATABASE_FILE).exists():
        raise StoreError(f"there is no {folder / DATABASE_FILE}")
    return SQLiteEndpoint(SQLiteStore(folder, synchronous="full"))


def _files(folder: Path, *, must_exist: bool) -> BlobFiles:
    if must_exist and not folder.is_dir():
        raise StoreError(f"there is no folder {folder}")
    return BlobFiles(folder)


def _adopted(source: str, target: str, prefix: str) -> int:
    """Copy the keys; return how many."""
    return _keys(target, prefix).adopt(_keys(source, prefix).all())


def _keys(store: str, prefix: str) -> EditableApiKeys:
    return editable_api_keys(store, Path() if is_shared(store) else _folder(store), prefix)


def _folder(store: str) -> Path:
    if not store.startswith(SQLITE):
        raise StoreError(f"{store!r} is no store: it must be {ADDRESS}")
    path = Path(store.removeprefix(SQLITE))
    return path.parent if path.name == DATABASE_FILE else path
