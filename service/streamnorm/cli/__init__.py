"""The command line: `streamnorm serve`, `demo`, `backfill`, `filter`, `keys`, `migrate`, `suggest`; a file each.

A command starts alone, without the imports of the others; those on files and pipes without the service's, too, which
take most of a second.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from streamnorm.compat.pydantic import deferring, disable_plugins

__all__ = ["cli", "import_without", "main"]

#: Thresholds of the garbage collector. Readings leave no cycles behind, but they allocate much: with Python's default
#: of 700 a third of the time of streaming is spent in the collector.
GARBAGE: Final = (20_000, 20, 20)
#: the module of each command, and the function there
COMMANDS = {
    "serve": ("serve", "serve"),
    "demo": ("demo", "demo"),
    "backfill": ("backfill", "backfill_file"),
    "filter": ("filter", "filter_lines"),
    "check": ("check", "check"),
    "migrate": ("migrate", "migrate"),
    "suggest": ("suggest", "suggest"),
}
#: the commands on files and pipes
FILES = {"backfill", "filter"}


def main() -> None:
    """Run the command line."""
    gc.set_threshold(*GARBAGE)
    # NumPy starts a thread a core for linear algebra, of which there is none here, and they wait busily
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    name = next(iter(sys.argv[1:]), "")
    if name in COMMANDS:
        _run_alone(name)
    else:
        from streamnorm.cli.commands import cli  # noqa: PLC0415

        cli()


def load(name: str) -> Callable[..., None]:
    """Import the function of the command `name`."""
    module, function = COMMANDS[name]
    command: Callable[..., None] = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return command


def _run_alone(name: str) -> None:
    gc.disable()  # imports allocate much, too, and leave next to nothing behind
    disable_plugins()
    if name in FILES:
        # Numba, as it loads, looks for the BLAS of SciPy, which takes 0.2 s and is of no use here
        sys.modules.setdefault("scipy", None)  # type: ignore[arg-type]

    import typer  # noqa: PLC0415

    from streamnorm.compat.typer import share_validators  # noqa: PLC0415

    share_validators()
    with deferring():
        command = load(name)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name)(command)
    gc.freeze()
    gc.enable()
    app(sys.argv[2:], prog_name=f"streamnorm {name}")


def import_without(absent: str, name: str) -> None:
    """Import the module `name` as if another one, `absent`, which it can do without, were not installed."""
    if absent not in sys.modules:
        sys.modules[absent] = None  # type: ignore[assignment]
        importlib.import_module(name)
        del sys.modules[absent]


def __getattr__(name: str) -> Any:
    """Import all commands when they are asked for."""
    if name == "cli":
        from streamnorm.cli.commands import cli  # noqa: PLC0415

        return cli
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
