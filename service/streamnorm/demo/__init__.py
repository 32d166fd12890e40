"""`streamnorm demo`: a service, sensors that feed it through the Python client, and a live table of the answers.

The submodules need the extra `demo`; this one does not, so that it can report a missing extra.
"""

from __future__ import annotations

import sys

from rich.console import Console

from streamnorm.platforms import interruptible

DEFAULT_RATE = 10.0  # readings a second

NEXT = """
What to try next:

  a service that stays      streamnorm serve
  a reading from a shell    curl {url}/v1/streams/boiler-7/readings --json '{{"values": {{"temp": 21.4, "door": 0}}}}'
  a reading from Python     from streamnorm_client import Client
                            print(Client("{url}").stream("boiler-7").observe({{"temp": 21.4, "door": 0}}).values)
  the whole API             {url}/docs
"""


def run(
    *,
    url: str | None = None,
    rate: float = DEFAULT_RATE,
    seconds: float | None = None,
    readings: int | None = None,
    seed: int = 0,
    machine: bool = False,
) -> int:
    """Run the demo, and return its exit status.

    Without `url` it starts its own service, and stops it at the end. `rate` is in readings a second; `seconds` and
    `readings` limit the run, `seed` seeds the simulated readings, `machine` adds this machine's own sensors.
    Ctrl-C and SIGTERM end a demo without limits gracefully, with status 0.
    """
    try:
        from streamnorm.demo.feed import feed, sources, ticks  # noqa: PLC0415
        from streamnorm.demo.host import NotStarted  # noqa: PLC0415
        from streamnorm_client import StreamnormError  # noqa: PLC0415

        sensors = sources(seed, machine=machine)
    except ModuleNotFoundError as missing:
        return failed(f"{missing.name} is not installed; the demo needs it: pip install 'streamnorm[demo]'")
    console = Console()
    try:
        with interruptible():
            feed(console, url, sensors, ticks(rate, seconds, readings))
    except (StreamnormError, NotStarted, ValueError) as error:
        return failed(str(error))
    except KeyboardInterrupt:
        pass
    console.print(NEXT.format(url=url or "http://127.0.0.1:8000"), markup=False, highlight=False, soft_wrap=True)
    return 0


def failed(why: str) -> int:
    """Print why the demo failed, and return its exit status."""
    print(f"streamnorm demo: {why}", file=sys.stderr)  # noqa: T201
    return 1
