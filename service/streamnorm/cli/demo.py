"""`streamnorm demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from streamnorm.demo import run as run_demo


def demo(
    url: Annotated[str | None, typer.Option(help="address of a running service; one is started if not given")] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="readings a second")] = 10.0,
    seconds: Annotated[float | None, typer.Option(min=0, help="end after so many seconds")] = None,
    readings: Annotated[int | None, typer.Option(min=1, help="end after so many readings")] = None,
    seed: Annotated[int, typer.Option(help="seed of the simulated sensors")] = 0,
    *,
    machine: Annotated[bool, typer.Option("--machine", help="read this machine's own sensors too")] = False,
) -> None:
    """Run a demonstration: simulated sensors send readings to a service, and a table shows its answers."""
    raise typer.Exit(run_demo(url=url, rate=rate, seconds=seconds, readings=readings, seed=seed, machine=machine))
