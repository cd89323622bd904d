"""Both engines under the same random histories and the same attacks; each precaution of the hardened one is needed."""

from collections.abc import Callable

import pytest

from . import attacks
from .histories import ALL, CHANGES, CUTS_ONLY, DAMAGE, DOUBLES, Faults, run
from .mutants import (
    AcknowledgesUndurable,
    BelievesCommitIndex,
    CountsItselfUndurable,
    CountsVotesTwice,
    ForgetfulWorld,
    SharesBarriers,
    SpeaksAtOnce,
    TakesAnyTerm,
    TruncatesAlways,
    VotesDamaged,
    on,
)
from .world import HARDENED, NATIVE, Engine, mixed

ENGINES = pytest.mark.parametrize("engine", [HARDENED, NATIVE, mixed], ids=["pysyncobj", "native", "mixed"])
FAULTS = pytest.mark.parametrize(
    "faults", [CUTS_ONLY, ALL, DAMAGE, CHANGES, DOUBLES], ids=["cuts", "all", "damage", "changes", "doubles"]
)
SEEDS = 4


@ENGINES
@FAULTS
@pytest.mark.parametrize("count", [3, 5])
def test_nothing_acknowledged_is_lost_in_random_histories(engine: Engine, faults: Faults, count: int) -> None:
    for seed in range(SEEDS if count == 3 else SEEDS // 3):
        outcome = run(seed, engine, faults, count=count)
        assert outcome.acknowledged > 0, f"seed {seed}: nothing was checked"


@ENGINES
def test_a_single_member_loses_nothing(engine: Engine) -> None:
    for seed in range(SEEDS):
        assert run(seed, engine, count=1).acknowledged > 0


@ENGINES
def test_a_seed_replays_its_history(engine: Engine) -> None:
    assert run(7, engine) == run(7, engine)
    assert run(7, engine).trace != run(8, engine).trace


def is_broken(attack: Callable[[Engine], None], engine: Engine) -> bool:
    try:
        attack(engine)
    except AssertionError:
        return True
    return False


def forgets_configurations(engine: Engine) -> None:
    attacks.founding_members_come_back(engine, ForgetfulWorld)


ATTACKS = [
    (attacks.leader_without_a_disk, on(CountsItselfUndurable)),
    (attacks.follower_without_a_disk, on(AcknowledgesUndurable)),
    (attacks.acknowledgement_of_an_old_term, on(TakesAnyTerm)),
    (attacks.vote_that_comes_twice, on(CountsVotesTwice)),
    (attacks.vote_that_is_forgotten, SpeaksAtOnce),
    (attacks.read_behind_an_older_one, SharesBarriers),
]
NAMES = [attack.__name__ for attack, _ in ATTACKS]


@ENGINES
@pytest.mark.parametrize("attack", [*(attack for attack, _ in ATTACKS), attacks.founding_members_come_back])
def test_an_attack_fails(attack: Callable[[Engine], None], engine: Engine) -> None:
    assert not is_broken(attack, engine)


@pytest.mark.parametrize(("attack", "mutant"), ATTACKS, ids=NAMES)
def test_an_attack_succeeds_without_the_precaution(attack: Callable[[Engine], None], mutant: Engine) -> None:
    assert is_broken(attack, mutant)


def test_members_that_forget_configurations_are_caught() -> None:
    assert is_broken(forgets_configurations, HARDENED)


@pytest.mark.parametrize(
    ("mutant", "faults", "first"),
    [(TruncatesAlways, ALL, 0), (BelievesCommitIndex, ALL, 0), (VotesDamaged, DAMAGE, 50)],
    ids=["truncates always", "believes the commit index", "votes damaged"],
)
def test_random_histories_catch_what_lacks_a_precaution(mutant: type, faults: Faults, first: int) -> None:
    """`first`: the seed to begin at, where one has noticed the third, which is rare."""
    for seed in (*range(first, 60), *range(first)):
        try:
            run(seed, on(mutant), faults)
        except AssertionError:
            return
    raise AssertionError("60 histories noticed nothing")
