"""Bugs planted into whole nodes are found: the quick ones here, all of them in `tests/evidence`."""

import pytest

from tests.simulation.cores.mutants import MUTANTS as CORE_MUTANTS
from tests.simulation.mutants import MUTANTS, Mutant, hunt

ASKED_FOR = {
    "ack before fsync": "acknowledged before it is durable",
    "vote not persisted": "vote not persisted",
    "commit of an old term": "commits_an_old_term_by_counting",
    "truncation of acknowledged entries": "acknowledged entries truncated",
    "stale read": "stale read",
    "offset reuse": "admission not rebuilt",
    "wiped voter": "wiped voter accepted",
    "epoch falling": "leader epoch falls",
    "tick from two timekeepers": "two timekeepers",
    "duplicate after failover": "producers lost at a failover",
    "lost producer state": "producers not in the checkpoint",
    "reordered answers": "answers reordered",
    "a member votes before it caught up": "damaged_members_heal_too_early",
    "deletion without a fresh barrier": "dropped without a barrier",
}
"""What must be found -> the mutant, of whole nodes or of the cores."""

QUICK = [mutant for mutant in MUTANTS if mutant.seeds_max <= 10]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mutant", QUICK, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    assert hunt(mutant) is not None, f"not found in {mutant.seeds_max} seeds"


def test_every_bug_that_must_be_found_is_planted_in_one_of_the_simulators() -> None:
    assert {*ASKED_FOR.values()} <= {one.name for one in (*MUTANTS, *CORE_MUTANTS)}
