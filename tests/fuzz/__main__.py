"""`python -m tests.fuzz`: send damaged requests, and keep those that the service does not stand."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from tests.fuzz.campaign import Campaign
from tests.support.processes import Service

FOUND = Path("build/fuzz")


def main() -> int:
    """Run, and return 1 where something went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="how many (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="what they are drawn from")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder)) as service:
        campaign = Campaign(service, asked.seed)
        for what, request in campaign.run(asked.requests, asked.seconds):
            wrong += 1
            FOUND.mkdir(parents=True, exist_ok=True)
            file = FOUND / f"{sha256(request).hexdigest()[:12]}.http"
            file.write_bytes(request)
            print(f"{what}: {file} {request[:300]!r}", flush=True)
        if "Traceback" in service.log.read_text(errors="replace"):
            wrong += 1
            FOUND.mkdir(parents=True, exist_ok=True)
            (FOUND / "service.log").write_bytes(service.log.read_bytes())
            print(f"the log has a traceback: {FOUND / 'service.log'}")
    print(", ".join(f"{count} {name}" for name, count in campaign.seen.items()), f"{wrong} failures", sep="; ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
