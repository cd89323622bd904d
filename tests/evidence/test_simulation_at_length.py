"""The simulator at length: seeds that nobody has seen before, and every planted bug within its number of seeds."""

import os
import time

import pytest

from tests.simulation.engines import ENGINES
from tests.simulation.mutants import MUTANTS, Mutant, hunt
from tests.simulation.run import simulate

COUNT = int(os.environ.get("SIMULATION_SEEDS", "100"))

pytestmark = [pytest.mark.evidence, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_new_seeds_are_clean(engine: str) -> None:
    first = time.time_ns() // 1_000_000_000
    print(f"\n{engine}: {COUNT} histories from seed {first}")
    bad = {
        outcome.seed: outcome.problems
        for seed in range(first, first + COUNT)
        if not (outcome := simulate(seed, engine)).is_clean
    }
    assert bad == {}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    found = hunt(mutant)
    assert found is not None, f"not found in {mutant.seeds_max} seeds"
    print(f"\n{mutant.name}: seed {found[0]} of {mutant.seeds_max}: {found[1].problems[0]}")
