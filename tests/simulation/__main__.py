"""`python -m tests.simulation`: run seeds, replay one, or hunt the planted bugs.

--seeds 100 [--first 0] [--engine seeded|trio|both]    new histories; clean ones go into the ledger
--seed 17 [--engine trio]                              replay one and print its trace
--mutants [--only words]                               after how many seeds each planted bug is found
"""

import argparse
import sys
import time
from dataclasses import asdict

from .engines import ENGINES
from .ledger import Tally, append
from .mutants import MUTANTS, hunt
from .run import Outcome, simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--engine", choices=[*ENGINES, "both"], default="both")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--mutants", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--no-ledger", action="store_true")
    asked = parser.parse_args()
    engines = list(ENGINES) if asked.engine == "both" else [asked.engine]
    if asked.seed is not None:
        return _replay(asked.seed, engines[0])
    if asked.mutants:
        return _hunt_all(asked.only, engines[0])
    return max(_run(engine, asked.first, asked.seeds, is_kept=not asked.no_ledger) for engine in engines)


def _run(engine: str, first: int, count: int, *, is_kept: bool) -> int:
    """Stops at nothing: each seed that is not clean is printed, with what was found."""
    started = time.perf_counter()
    bad = 0
    tally = Tally(engine, first)
    for seed in range(first, first + count):
        outcome = simulate(seed, engine)
        if outcome.is_clean:
            tally.add(outcome)
        else:
            bad += 1
            _print_problems(outcome)
            if is_kept:
                append(tally)
            tally = Tally(engine, seed + 1)
    if is_kept:
        append(tally)
    elapsed = time.perf_counter() - started
    print(f"{engine}: {count} histories from seed {first}, {bad} not clean, {count / elapsed:.2f} a second")
    print(f"  {tally.virtual_s:.0f} virtual seconds in {tally.cpu_s:.0f} s of CPU since the last problem")
    print(f"  {dict(sorted(tally.counts.items()))}")
    print(f"  {dict(sorted(tally.figures.items()))}")
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
