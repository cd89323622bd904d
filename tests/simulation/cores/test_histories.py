"""Seeded histories of one to five cores: whatever goes wrong, nothing decided is lost and in the end they agree."""

import os
import subprocess
import sys

import pytest

from tests.simulation.cores.faults import FAULTS, THEMES
from tests.simulation.cores.world import World


@pytest.mark.parametrize("block", range(8))
def test_histories_of_any_faults_are_clean(block: int) -> None:
    for seed in range(block * 40, block * 40 + 40):
        World(seed).run()


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_histories_of_one_kind_of_trouble_are_clean(theme: str) -> None:
    for seed in range(40):
        World(seed, theme).run()


def test_every_fault_happens_and_every_way_out_is_taken() -> None:
    counts = World(0).run().counts
    for seed in range(1, 250):
        counts += World(seed).run().counts
    assert set(FAULTS) <= set(counts)
    for name in ("acknowledged", "reads", "elections", "installed", "healed", "lost", "duplicated"):
        assert counts[name] > 0, name


def test_one_seed_gives_one_history() -> None:
    traces = [World(seed).run().trace for seed in range(20)]
    assert traces == [World(seed).run().trace for seed in range(20)]
    assert len(set(traces)) == 20


def test_a_history_does_not_depend_on_the_hashing_of_strings() -> None:
    program = "from tests.simulation.cores.world import World; print([World(s).run().trace for s in range(12)])"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."},
            check=True,
            capture_output=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(outputs) == 1
