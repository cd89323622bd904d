"""Bugs planted into whole nodes are found: the quick ones here, all of them in `tests/evidence`."""

import pytest

from tests.simulation.mutants import MUTANTS, Mutant, hunt

QUICK = [mutant for mutant in MUTANTS if mutant.seeds_max <= 10]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mutant", QUICK, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    assert hunt(mutant) is not None, f"not found in {mutant.seeds_max} seeds"
