"""Thousands of random histories on each engine: `python -m tests.raft.conformance.at_length FIRST END [ENGINE …]`.

Prints a row of `LEDGER.md` for each engine and kind of faults; a seed that violates anything is named and replays with
`histories.run`.
"""

import logging
import subprocess
import sys
import time

from .histories import ALL, CHANGES, CUTS_ONLY, DAMAGE, DOUBLES, run
from .test_stock_loss import violations
from .world import HARDENED, NATIVE, mixed

FAULTS = {"cuts": CUTS_ONLY, "all": ALL, "damage": DAMAGE, "changes": CHANGES, "doubles": DOUBLES}
ENGINES = {"pysyncobj": HARDENED, "native": NATIVE, "mixed": mixed}


def row(commit: str, engine: str, faults: str, seeds: range, bad: list[int], counts: str, seconds: float) -> str:
    named = ", ".join(map(str, bad[:5])) or "none"
    cells = [
        commit,
        engine,
        faults,
        f"{seeds.start} to {seeds.stop - 1}",
        f"{len(bad)} ({named})",
        counts,
        f"{seconds:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def judge(commit: str, engine: str, faults: str, seeds: range) -> str:
    started = time.monotonic()
    bad: list[int] = []
    acknowledged = reads = leaders = 0
    for seed in seeds:
        try:
            outcome = run(seed, ENGINES[engine], FAULTS[faults], count=3 + 2 * (seed % 4 == 0))
        except AssertionError:
            bad.append(seed)
            continue
        acknowledged += outcome.acknowledged
        reads += outcome.reads
        leaders += outcome.leaders
    counts = f"{acknowledged:,} entries, {reads:,} reads, {leaders:,} leaders"
    return row(commit, engine, faults, seeds, bad, counts, time.monotonic() - started)


def main(first: int, end: int, engines: list[str]) -> None:
    logging.disable(logging.CRITICAL)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    name = commit.stdout.strip()
    seeds = range(first, end)
    for engine in engines or ["stock", *ENGINES]:
        if engine == "stock":
            started = time.monotonic()
            bad = violations(seeds)
            print(row(name, "stock", "cuts", seeds, bad, "", time.monotonic() - started), flush=True)
            continue
        for faults in FAULTS:
            print(judge(name, engine, faults, seeds), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
