"""One reading a POST, under wrk: `python -m tests.benchmarks.single`."""

from __future__ import annotations

from tests.benchmarks.report import Row, against, in_turns, show
from tests.benchmarks.servers import Address, ours, peer, wrk

ROUNDS = 5
STREAMS = 1024  # many enough that no two requests under way are of the same one
SCRIPT = """
local n = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
{key}
function request()
  n = n + 1
  local body = '{{"values":{{"temp":21.4,"door":0,"light":3.5}},"seq":' .. n .. '}}'
  return wrk.format(nil, "/v1/streams/s-" .. n % {streams} .. "/readings", nil, body)
end
"""
CONDITIONS = "about 60 bytes, numbered, 1024 streams, 16 connections, server and wrk on a core each"


def script(address: Address) -> str:
    """Write what wrk does; the numbers of each stream only grow, from run to run too."""
    key = f'wrk.headers["Authorization"] = "Bearer {address.key}"' if address.key else ""
    return SCRIPT.format(key=key, streams=STREAMS)


def measure() -> list[Row]:
    """Compare with a bare echo and with a plain route."""
    start = 0

    def rate(address: Address) -> float:
        nonlocal start
        start += 10_000_000
        return wrk(address, script(address).replace("local n = 0", f"local n = {start}"))

    with ours(keys=True) as us, peer("echo") as echo, peer("plain") as plain:
        for address in (us, echo, plain):
            wrk(address, script(address), seconds=1)
        mine, bare, route = in_turns(ROUNDS, lambda: rate(us), lambda: rate(echo), lambda: rate(plain))
    echoed, here, ratio = against(bare, mine)
    routed, _, times = against(route, mine)
    note = f"{CONDITIONS}; ours with a key, metrics and durability everysec"
    return [
        Row("one reading a POST", "bare uvicorn, an echo of the body", echoed, here, "/s", "≥ 1.6", note, ratio),
        Row("one reading a POST", "plain FastAPI route, river's StandardScaler", routed, here, "/s", "≥ 4", "", times),
    ]


def main() -> None:
    """Print the table."""
    show(measure())


if __name__ == "__main__":
    main()
