"""What is used of the inside of a dependency is used in one file, and in releases that the tests have seen."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import re
import textwrap
import tomllib
from pathlib import Path

import aiomqtt
import pytest
import uvicorn
from packaging.requirements import Requirement
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from streamnorm import server
from streamnorm.api.fastpath.http_protocol import FastPathProtocol
from streamnorm.api.fastpath.ws_protocol import WebSockets
from streamnorm.bridges.mqtt.client import Client

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
REQUIREMENTS = {
    requirement.name: requirement
    for line in [*PROJECT["dependencies"], *(x for extra in PROJECT["optional-dependencies"].values() for x in extra)]
    if (requirement := Requirement(line)).specifier
}
#: what the parser calls, what asyncio and uvicorn document
DOCUMENTED = {
    "connection_made", "data_received", "on_body", "on_message_complete", "serve", "shutdown", "startup", "started",
}  # fmt: skip


@pytest.mark.parametrize("name", ["aiomqtt", "paho-mqtt", "pydantic", "redis", "typer", "uvicorn"])
def test_a_release_that_no_test_has_seen_is_not_installed(name: str) -> None:
    installed = importlib.metadata.version(name)
    specifier = REQUIREMENTS[name].specifier
    assert installed in specifier
    major, minor = map(int, re.findall(r"\d+", installed)[:2])
    assert f"{major}.{minor + 1}" not in specifier


def own_attributes(cls: type) -> set[str]:
    """Name the attributes that a class defines, in its body or in its methods."""
    assigned = {node.attr for node in attributes_of_self(cls) if isinstance(node.ctx, ast.Store)}
    return set(vars(cls)) | set(vars(cls).get("__annotations__", ())) | assigned


def used_attributes(cls: type) -> set[str]:
    """Name the attributes of its own object that a class uses."""
    return {node.attr for node in attributes_of_self(cls)}


def attributes_of_self(cls: type) -> list[ast.Attribute]:
    """List the attributes of `self` and of `super()` in a class's source."""
    nodes = [node for node in ast.walk(source_of(cls)) if isinstance(node, ast.Attribute)]
    return [node for node in nodes if ast.unparse(node.value) in {"self", "super()"}]


def source_of(cls: type) -> ast.Module:
    """Parse a class's source."""
    return ast.parse(textwrap.dedent(inspect.getsource(cls)))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (FastPathProtocol, HttpToolsProtocol),
        (WebSockets, WebSocketsSansIOProtocol),
        (server.Server, uvicorn.Server),
        (Client, aiomqtt.Client),
    ],
)
def test_classes_elsewhere_use_what_compat_defines(ours: type, theirs: type) -> None:
    between = ours.__mro__[1 : ours.__mro__.index(theirs)]
    assert between
    assert all(cls.__module__.startswith("streamnorm.compat.") for cls in between)
    defined_by_object = set(vars(object)) | {"__dict__", "__module__", "__weakref__", "__annotations__"}
    defined = own_attributes(ours).union(*(set(vars(cls)) | set(cls.__annotations__) for cls in between))
    assert used_attributes(ours) <= defined | DOCUMENTED | {"__init__"}
    hidden = own_attributes(theirs) - defined_by_object - DOCUMENTED
    assert not own_attributes(ours) & hidden - {name for cls in between for name in vars(cls)}
