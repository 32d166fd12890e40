"""`streamnorm keys`: create, list and revoke API keys; a running service applies changes within a second."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeVar
from unicodedata import normalize

import typer
from rich.console import Console
from rich.table import Table

from streamnorm.auth.api_keys import SCOPES
from streamnorm.backends import editable_api_keys
from streamnorm.errors import StoreError
from streamnorm.settings import Settings, is_shared

T = TypeVar("T")

keys = typer.Typer(
    help="Create, list and revoke API keys.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)

ScopeName = Enum("ScopeName", {scope: scope for scope in SCOPES}, type=str)  # type: ignore[misc]
Folder = Annotated[Path, typer.Option("--data-dir", envvar="STREAMNORM_DATA_DIR", help="folder for the state")]
Store = Annotated[str, typer.Option(envvar="STREAMNORM_STORE", help="the replicas' store, where they share one")]
Prefix = Annotated[
    str, typer.Option("--store-prefix", envvar="STREAMNORM_STORE_PREFIX", help="prefix of the names of its keys")
]
DATA_DIR = Settings.model_fields["data_dir"].default
STORE = Settings.model_fields["store"].default
PREFIX = Settings.model_fields["store_prefix"].default


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="whose key it is, for the list")] = "",
    scope: Annotated[
        list[ScopeName] | None,
        typer.Option(help="what it may do: observe (the default), read, admin (everything); may be given again"),
    ] = None,
    prefix: Annotated[str, typer.Option(help="only streams whose ids begin with it")] = "",
    *,
    data_dir: Folder = DATA_DIR,
    store: Store = STORE,
    store_prefix: Prefix = PREFIX,
) -> None:
    """Create a key; it is printed once, and only its hash is stored."""
    scopes = [item.value for item in scope or [ScopeName("observe")]]
    own = normalize("NFC", prefix)
    token = _describe(lambda: editable_api_keys(store, data_dir, store_prefix).create(name, scopes, own))
    which = f" on streams that begin with {prefix}" if prefix else ""
    where = _where(data_dir, store)
    typer.echo(f"may {', '.join(scopes)}{which}, at {where}; shown only this once:", err=True)
    typer.echo(token)


@keys.command("list")
def list_keys(data_dir: Folder = DATA_DIR, store: Store = STORE, store_prefix: Prefix = PREFIX) -> None:
    """List the keys, including revoked ones, without their secrets."""
    listed = _describe(lambda: editable_api_keys(store, data_dir, store_prefix).all())
    if not listed:
        typer.echo(f"there is no key for {_where(data_dir, store)}", err=True)
        return
    table = Table("id", "name", "scopes", "prefix", "made", "revoked", box=None, pad_edge=False)
    for key in listed:
        scopes = ", ".join(scope for scope in SCOPES if scope in key.scopes)
        table.add_row(key.id, key.name, scopes, key.prefix, _day(key.created), _day(key.revoked))
    Console().print(table)


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="as in the list")],
    data_dir: Folder = DATA_DIR,
    store: Store = STORE,
    store_prefix: Prefix = PREFIX,
) -> None:
    """Revoke a key, immediately and permanently."""
    if not _describe(lambda: editable_api_keys(store, data_dir, store_prefix).revoke(key_id)):
        typer.echo(f"there is no key {key_id!r} that is not revoked", err=True)
        raise typer.Exit(1)
    typer.echo(f"revoked {key_id}")


def _where(data_dir: Path, store: str) -> str:
    """Name the store of the keys: an omitted --data-dir is the usual reason for an unknown key."""
    return "the replicas of the store" if is_shared(store) else f"the service of the data folder {data_dir.absolute()}"


def _describe(work: Callable[[], T]) -> T:
    """Run work on the keys; if it fails, print the error and exit."""
    try:
        return work()
    except StoreError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _day(moment: float | None) -> str:
    return "" if moment is None else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M}"
