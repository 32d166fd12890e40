"""One reading a POST, under wrk: `python -m tests.benchmarks.single`."""

from __future__ import annotations

import json

from tests.benchmarks.report import Row, in_turns, show
from tests.benchmarks.servers import Address, ours, peer, wrk

ROUNDS = 5
STREAMS = 1024  # many enough that no two requests under way are of the same one
READING = {f"feature-{n}": value for n, value in enumerate((21.4, 0, 3.5, 7.25, 1e3, -4, 0.1, 55))}
#: made by hand, since the order of wrk's own headers differs from run to run, and a device's does not
SCRIPT = """
local n = {start}
function request()
  n = n + 1
  local body = '{{"values":{values}{number}}}'
  return "POST /v1/streams/s-" .. n % {streams} .. "/readings HTTP/1.1\\r\\nHost: localhost\\r\\n{key}" ..
    "Content-Type: application/json\\r\\nContent-Length: " .. #body .. "\\r\\n\\r\\n" .. body
end
"""
CONDITIONS = "8 features, numbered, 1024 streams, 16 connections, server and wrk on a core each"


def script(address: Address, start: int | None = 0) -> str:
    """Write what wrk sends: readings with numbers from `start` on, or without if that is None."""
    key = f"Authorization: Bearer {address.key}\\r\\n" if address.key else ""
    number = "" if start is None else ""","seq":' .. n .. '"""
    return SCRIPT.format(start=start or 0, values=json.dumps(READING), number=number, streams=STREAMS, key=key)


def measure() -> list[Row]:
    """Compare with a bare echo and with a plain route."""
    start = 0

    def rate(address: Address) -> float:
        nonlocal start
        start += 10_000_000
        return wrk(address, script(address, start))

    with ours(keys=True) as us, peer("echo") as echo, peer("plain") as plain:
        for address in (us, echo, plain):
            wrk(address, script(address), seconds=1)
        mine, bare, route = in_turns(ROUNDS, lambda: rate(us), lambda: rate(echo), lambda: rate(plain))
    note = f"{CONDITIONS}; ours with a key, metrics and durability everysec"
    return [
        Row("one reading a POST", "bare uvicorn, an echo of the body", bare, mine, "/s", "≥ 1.6", note),
        Row("one reading a POST", "plain FastAPI route, river's StandardScaler", route, mine, "/s", "≥ 4"),
    ]


def main() -> None:
    """Print the table."""
    show(measure())


if __name__ == "__main__":
    main()
