"""The simulator finds planted bugs; the slow ones are looked for outside the suite."""

import pytest

from tests.simulation.cores.mutants import MUTANTS, Mutant

FAST_SEEDS_MAX = 1_000


@pytest.mark.parametrize(
    "mutant", [m for m in MUTANTS if m.seeds_max <= FAST_SEEDS_MAX], ids=lambda mutant: mutant.name
)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    assert mutant.finding_or_none() is not None, f"not in {mutant.seeds_max} histories"


@pytest.mark.evidence
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.seeds_max > FAST_SEEDS_MAX], ids=lambda mutant: mutant.name)
def test_a_bug_that_shows_seldom_is_found(mutant: Mutant) -> None:
    assert mutant.finding_or_none() is not None, f"not in {mutant.seeds_max} histories"
