"""What a command, as it starts, does without in pydantic: plugins, version 1, and validators that are not used yet.

Where plugins are disabled, pydantic still imports what would look for them: `importlib.metadata`, and the parser of
e-mail below it, a twentieth of the start of a command. FastAPI defines forty models, only for the OpenAPI document, and
imports version 1 to tell its models apart: a sixth of the start of the service.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

LOADER = "pydantic.plugin._loader"
VERSION_1 = "pydantic.v1"


def disable_plugins() -> None:
    """Make pydantic look for no plugins, unless its own variable says for which; before its first model is built."""
    if "PYDANTIC_DISABLE_PLUGINS" not in os.environ:
        os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
        sys.modules.setdefault(LOADER, _NoPlugins(LOADER))


@contextlib.contextmanager
def deferring() -> Iterator[None]:
    """Have models that are defined meanwhile built when they are first used; version 1 counts as not installed."""
    from pydantic import BaseModel, ConfigDict  # noqa: PLC0415 - after plugins are disabled

    usual, absent = BaseModel.model_config, VERSION_1 not in sys.modules
    BaseModel.model_config = ConfigDict(defer_build=True)
    sys.modules.setdefault(VERSION_1, None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        BaseModel.model_config = usual
        if absent:
            del sys.modules[VERSION_1]


class _NoPlugins(ModuleType):
    @staticmethod
    def get_plugins() -> tuple[Any, ...]:
        return ()
