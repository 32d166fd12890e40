"""The command line: `streamnorm serve`, `demo`, `backfill`, `filter`, `keys`, `migrate`, `suggest`; a file each.

The commands on files and pipes start alone, without the imports of the service, which take most of a second.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import Any, Final

__all__ = ["cli", "main"]

#: Thresholds of the garbage collector. Neither imports nor readings leave cycles behind, but they allocate much: with
#: Python's default of 700 a tenth of a start is spent in the collector, and a third of the time of streaming.
GARBAGE: Final = (20_000, 20, 20)


def main() -> None:
    """Run the command line."""
    gc.set_threshold(*GARBAGE)
    arguments = sys.argv[1:]
    if arguments[:1] == ["backfill"]:
        from streamnorm.cli.backfill import backfill_file  # noqa: PLC0415

        _run_alone("backfill", backfill_file)
    elif arguments[:1] == ["filter"]:
        from streamnorm.cli.filter import filter_lines  # noqa: PLC0415

        _run_alone("filter", filter_lines)
    else:
        from streamnorm.cli.commands import cli  # noqa: PLC0415

        cli()


def _run_alone(name: str, command: Any) -> None:
    # Numba, as it loads, looks for the BLAS of SciPy, which takes 0.2 s and is of no use here
    sys.modules.setdefault("scipy", None)  # type: ignore[arg-type]
    # pydantic looks through all installed packages for plugins, and asyncio loads OpenSSL: a tenth of the start
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _without("ssl", "asyncio")

    import typer  # noqa: PLC0415

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name)(command)
    app(sys.argv[2:], prog_name=f"streamnorm {name}")


def _without(absent: str, name: str) -> None:
    """Import a module as if another one, which it can do without, were not installed."""
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
