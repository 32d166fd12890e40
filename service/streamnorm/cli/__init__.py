"""The command line: `streamnorm serve`, `demo`, `backfill`, `filter`, `keys`, `migrate`, `suggest`; a file each.

A command starts alone, without the imports of the others; those on files and pipes without the service's, too, which
take most of a second.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from streamnorm.compat.pydantic import deferring, disable_plugins

__all__ = ["cli", "import_without", "main"]

#: Thresholds of the garbage collector. Readings leave no cycles behind, but they allocate much: with Python's default
#: of 700 a third of the time of streaming is spent in the collector.
GARBAGE: Final = (20_000, 20, 20)


class Command(NamedTuple):
    """A command: its module, what is called there, and the first line of its help, which is told without it."""

    module: str
    function: str
    summary: str


COMMANDS: Final = {
    "serve": Command("serve", "serve", "Start the service. Every option is also an environment variable."),
    "demo": Command(
        "demo",
        "demo",
        "Run a demonstration: simulated sensors send readings to a service, and a table shows its answers.",
    ),
    "backfill": Command("backfill", "backfill_file", "Normalize recorded files, and leave their streams warmed up."),
    "filter": Command(
        "filter",
        "filter_lines",
        "Normalize readings line by line, from standard input to standard output, as they arrive.",
    ),
    "check": Command(
        "check",
        "check",
        "Check a `file` of rules and mappings, and tell which parameters hold, and where the file says so.",
    ),
    "migrate": Command(
        "migrate",
        "migrate",
        "Copy all streams and keys from one store to another, while no service runs on either.",
    ),
    "suggest": Command(
        "suggest", "suggest", "Suggest rules for streamnorm.toml, each with its reason; nothing is applied."
    ),
    "keys": Command("keys", "keys", "Create, list and revoke API keys."),
}
#: the commands on files and pipes
FILES = {"backfill", "filter"}


def main() -> None:
    """Run the command line."""
    gc.disable()  # imports allocate much, too, and leave next to nothing behind
    gc.set_threshold(*GARBAGE)
    # NumPy starts a thread a core for linear algebra, of which there is none here, and they wait busily
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    disable_plugins()
    name = next(iter(sys.argv[1:]), "")
    if name in COMMANDS:
        _run_alone(name, sys.argv[2:])
    else:
        from streamnorm.cli.commands import tree  # noqa: PLC0415

        gc.enable()
        tree(_summary)()


def load(name: str) -> Callable[..., None]:
    """Import the command `name`."""
    module, function, _ = COMMANDS[name]
    command: Callable[..., None] = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return command


def _run_alone(name: str, arguments: Sequence[str]) -> None:
    if name in FILES:
        # Numba, as it loads, looks for the BLAS of SciPy, which takes 0.2 s and is of no use here
        sys.modules.setdefault("scipy", None)  # type: ignore[arg-type]

    import typer  # noqa: PLC0415

    from streamnorm.compat.typer import share_validators  # noqa: PLC0415

    share_validators()
    with deferring():
        command = load(name)
    if isinstance(command, typer.Typer):
        app = command
    else:
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(name)(command)
    gc.freeze()
    gc.enable()
    app(arguments, prog_name=f"streamnorm {name}")


def _summary(name: str) -> Callable[[], None]:
    """Return the command `name` without its options, for the list of commands."""

    def command() -> None:
        _run_alone(name, [])

    command.__doc__ = COMMANDS[name].summary
    return command


def import_without(absent: str, name: str) -> None:
    """Import the module `name` as if another one, `absent`, which it can do without, were not installed."""
    if absent not in sys.modules:
        sys.modules[absent] = None  # type: ignore[assignment]
        importlib.import_module(name)
        del sys.modules[absent]


def __getattr__(name: str) -> Any:
    """Import all commands when they are asked for."""
    if name == "cli":
        from streamnorm.cli.commands import tree  # noqa: PLC0415

        return tree(load)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
