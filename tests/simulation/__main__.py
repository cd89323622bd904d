"""`python -m tests.simulation`: run seeds, replay one, or hunt the planted bugs.

--seeds 100 [--first 0] [--engine seeded|trio|both]    these histories; clean ones go into the ledger
--new [--for-s 12] [--no-ledger]                       seeds of this commit, that nobody has run, for so long (CI)
--seed 17 [--engine trio]                              replay one and print its trace
--mutants [--only words]                               after how many seeds each planted bug is found
"""

import argparse
import json
import multiprocessing
import sys
import time
from dataclasses import asdict

from .engines import ENGINES
from .ledger import Tally, append, new_first_seed
from .mutants import MUTANTS, hunt
from .run import Outcome, simulate

NEW_SEEDS_MAX = 1_000
NEW_S = 12.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--engine", choices=[*ENGINES, "both"], default="both")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--mutants", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--new", action="store_true")
    parser.add_argument("--for-s", type=float, default=float("inf"))
    parser.add_argument("--no-ledger", action="store_true")
    asked = parser.parse_args()
    engines = list(ENGINES) if asked.engine == "both" else [asked.engine]
    if asked.seed is not None:
        return _replay(asked.seed, engines[0])
    if asked.mutants:
        return _hunt_all(asked.only, engines[0])
    first = new_first_seed() if asked.new else asked.first
    count = NEW_SEEDS_MAX if asked.new else asked.seeds
    if asked.new and asked.for_s == float("inf"):
        asked.for_s = NEW_S
    work = [(engine, first, count, asked.for_s, not asked.no_ledger) for engine in engines]
    # Side by side, each in a process of its own: the engines have nothing to do with each other.
    with multiprocessing.get_context("fork").Pool(len(work)) as pool:
        return max(pool.starmap(_run, work))


def _run(engine: str, first: int, count: int, for_s: float, is_kept: bool) -> int:
    """Stops at nothing but the time: each seed that is not clean is printed, with what was found."""
    started = time.perf_counter()
    done = bad = 0
    tally = Tally(engine, first)
    tallies = [tally]
    for seed in range(first, first + count):
        if time.perf_counter() - started >= for_s:
            break
        done += 1
        outcome = simulate(seed, engine)
        if outcome.is_clean:
            tally.add(outcome)
        else:
            bad += 1
            _print_problems(outcome)
            if is_kept:
                append(tally)
            tally = Tally(engine, seed + 1)
            tallies.append(tally)
    if is_kept:
        append(tally)
    elapsed = time.perf_counter() - started
    lines = [
        f"{engine}: {done} histories from seed {first}, {bad} not clean, {done / elapsed:.2f} a second",
        f"  {tally.virtual_s:.0f} virtual seconds in {tally.cpu_s:.0f} s of CPU since the last problem",
        f"  {dict(sorted(tally.counts.items()))}",
        f"  {dict(sorted(tally.figures.items()))}",
    ]
    if not is_kept:
        lines += [f"  for the ledger: {json.dumps(one.row())}" for one in tallies if one.history_count]
    print("\n".join(lines), flush=True)
    return int(bad > 0)


def _replay(seed: int, engine: str) -> int:
    outcome = simulate(seed, engine, echo=print)
    print(f"options {asdict(outcome.options)}")
    print(f"trace {outcome.digest}, {outcome.event_count} events, {outcome.figures}")
    _print_problems(outcome)
    return int(not outcome.is_clean)


def _hunt_all(words: str, engine: str) -> int:
    missed = 0
    for mutant in MUTANTS:
        if words not in mutant.name:
            continue
        started = time.process_time()
        found = hunt(mutant, engine=engine)
        if found is None:
            missed += 1
            print(f"{mutant.name}: NOT FOUND in {mutant.seeds_max} seeds", flush=True)
        else:
            cpu_s = time.process_time() - started
            print(
                f"{mutant.name}: seed {found[0]} of {mutant.seeds_max}, {cpu_s:.1f} s: {found[1].problems[0][:160]}",
                flush=True,
            )
    return missed


def _print_problems(outcome: Outcome) -> None:
    if not outcome.is_clean:
        print(f"{outcome.engine} seed {outcome.seed}: {outcome.options.nodes} nodes, {dict(outcome.counts)}")
        for problem in outcome.problems:
            print(f"  {problem}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
