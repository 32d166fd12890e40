"""Run the benchmarks, all or those named: `python -m tests.benchmarks [quality single …]`; each prints its table."""

from __future__ import annotations

import importlib
import sys

#: the quickest first
ALL = ("single", "durability", "quality", "residents", "replicas", "pages", "soak")


def main(names: list[str]) -> None:
    """Run them, one after the other."""
    unknown = set(names) - set(ALL)
    if unknown:
        raise SystemExit(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    for name in names or ALL:
        print(f"\n== {name}\n", flush=True)
        importlib.import_module(f"tests.benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
