"""Both clients offer the same: name by name, parameter by parameter."""

from __future__ import annotations

import inspect

import pytest

from streamnorm_client import AsyncClient, AsyncLive, AsyncStream, Client, Live, Stream

PAIRS = [(Client, AsyncClient), (Stream, AsyncStream), (Live, AsyncLive)]
CALLS = [(sync, twin, name) for sync, twin in PAIRS for name in vars(sync) if inspect.isfunction(vars(sync)[name])]
PUBLIC = [(sync, twin, name) for sync, twin, name in CALLS if not name.startswith("_")]


#: how the words of a description differ for asyncio
WORDS = (
    ("for event in client", "async for event in client"),
    ("with client.stream", "async with client.stream"),
    ("    client.stream(", "    await client.stream("),
    ("    live.observe", "    await live.observe"),
    ("a `with` statement", "an `async with` statement"),
    ("Client.stream`", "AsyncClient.stream`"),
    ("Stream.", "AsyncStream."),
    ("threads", "tasks"),
    ("`httpx.Client`", "`httpx.AsyncClient`"),
)


def adapted(text: str) -> str:
    """Return a description as the asynchronous twin has it."""
    for ours, theirs in WORDS:
        text = text.replace(ours, theirs)
    return text.partition(">>>")[0]


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


@pytest.mark.parametrize(("sync", "twin"), PAIRS)
def test_every_call_of_the_asynchronous_twin_is_described_as_ours_is(sync: type, twin: type) -> None:
    for name in ["__doc__", *(name for _, _, name in PUBLIC if name in vars(sync))]:
        ours, theirs = (getattr(cls, name) if name == "__doc__" else getattr(cls, name).__doc__ for cls in (sync, twin))
        assert " ".join(adapted(ours).split()) == " ".join(theirs.partition(">>>")[0].split()), name
