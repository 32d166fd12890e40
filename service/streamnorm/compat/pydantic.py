"""pydantic's loader of plugins, which a command does without.

Where plugins are disabled, pydantic still imports what would look for them: `importlib.metadata`, and the parser of
e-mail below it, a twentieth of the start of a command.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

LOADER = "pydantic.plugin._loader"


def disable_plugins() -> None:
    """Make pydantic look for no plugins, unless its own variable says for which; before its first model is built."""
    if "PYDANTIC_DISABLE_PLUGINS" not in os.environ:
        os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
        sys.modules.setdefault(LOADER, _NoPlugins(LOADER))


class _NoPlugins(ModuleType):
    @staticmethod
    def get_plugins() -> tuple[Any, ...]:
        return ()
