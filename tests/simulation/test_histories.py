"""Fixed seeds of whole nodes under faults, on both engines; one seed is one history, wherever it runs."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.simulation.engines import ENGINES
from tests.simulation.run import simulate

ROOT = Path(__file__).parent.parent.parent
SEEDS = range(20)
STREAM_SEED = 5  # one with streams, which cost most
ONE = (
    "import sys; from tests.simulation.run import simulate; "
    "print(simulate(int(sys.argv[1]), sys.argv[2], seconds=1.0).digest)"
)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("seed", SEEDS)
def test_a_history_is_clean(seed: int, engine: str) -> None:
    """Replay with `make simulate SEED=…  ENGINE=…`."""
    outcome = simulate(seed, engine, seconds=2.0, has_streams=seed == STREAM_SEED)
    assert outcome.problems == []
    assert outcome.figures["records acknowledged"] > 0, "a history in which nothing happens proves nothing"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_seed_gives_one_trace_in_every_process(engine: str) -> None:
    """Whatever the seed of the hashes is."""
    with ThreadPoolExecutor(2) as beside:
        digests = set(beside.map(lambda hash_seed: _digest(3, engine, hash_seed), ("1", "4242")))
    assert len(digests) == 1


def test_engines_and_seeds_give_different_histories() -> None:
    digests = {
        simulate(seed, engine, seconds=0.3, nodes=1, has_streams=False).digest for seed in (1, 2) for engine in ENGINES
    }
    assert len(digests) == 4


def _digest(seed: int, engine: str, hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ONE, str(seed), engine],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
