"""Both clients offer the same: name by name, parameter by parameter."""

from __future__ import annotations

import inspect

import pytest

from streamnorm_client import AsyncClient, AsyncLive, AsyncStream, Client, Live, Stream

PAIRS = [(Client, AsyncClient), (Stream, AsyncStream), (Live, AsyncLive)]
CALLS = [(sync, twin, name) for sync, twin in PAIRS for name in vars(sync) if inspect.isfunction(vars(sync)[name])]
PUBLIC = [(sync, twin, name) for sync, twin, name in CALLS if not name.startswith("_")]


def names(cls: type) -> set[str]:
    """Return a class's own names; entering and leaving is spelled differently for asyncio."""
    return {name.replace("__aenter__", "__enter__").replace("__aexit__", "__exit__") for name in vars(cls)}


@pytest.mark.parametrize(("sync", "twin"), PAIRS)
def test_both_clients_have_the_same_names(sync: type, twin: type) -> None:
    assert names(sync) == names(twin)


@pytest.mark.parametrize(("sync", "twin", "name"), PUBLIC)
def test_both_clients_take_the_same_parameters(sync: type, twin: type, name: str) -> None:
    ours, theirs = (inspect.signature(getattr(cls, name)).parameters for cls in (sync, twin))
    assert list(ours.values()) == list(theirs.values())


def test_both_clients_are_made_alike() -> None:
    ours, theirs = (inspect.signature(cls.__init__).parameters.values() for cls in (Client, AsyncClient))
    shape = [(each.name, each.kind, each.default) for each in ours]
    assert shape == [(each.name, each.kind, each.default) for each in theirs]


@pytest.mark.parametrize(("sync", "twin", "name"), PUBLIC)
def test_the_asynchronous_twin_answers_the_same_type(sync: type, twin: type, name: str) -> None:
    ours, theirs = (str(inspect.signature(getattr(cls, name)).return_annotation) for cls in (sync, twin))
    assert ours == theirs.replace("AsyncIterator", "Iterator").replace("AsyncStream", "Stream").replace(
        "AsyncLive", "Live"
    )
