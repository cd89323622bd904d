"""Run histories of cores: `python -m tests.simulation.cores --seeds 1000`, or replay one: `--seed 17`."""

import json
import subprocess
import time
from collections import Counter
from pathlib import Path

import click

from tests.simulation.cores.faults import THEMES
from tests.simulation.cores.world import World

LEDGER = Path(__file__).parent / "ledger.json"


@click.command()
@click.option("--seeds", default=1_000, help="How many histories.")
@click.option("--first", default=0, help="The first seed.")
@click.option("--seed", type=int, help="Replay this one.")
@click.option("--theme", type=click.Choice(sorted(THEMES)), help="One mix of faults, instead of all.")
@click.option("--note", is_flag=True, help="Add the run to the ledger.")
def main(seeds: int, first: int, seed: int | None, theme: str | None, *, note: bool) -> None:
    if seed is not None:
        world = World(seed, theme).run()
        click.echo(
            f"seed {seed}: trace {world.trace:016x} after {world.now_ms} ms, {dict(sorted(world.counts.items()))}"
        )
        return
    began = time.process_time()
    counts: Counter[str] = Counter()
    failed: list[int] = []
    trace = 0
    for number in range(first, first + seeds):
        try:
            world = World(number, theme).run()
        except Exception as error:  # noqa: BLE001 - a finding, whatever it is
            failed.append(number)
            click.echo(f"seed {number}: {type(error).__name__}: {error}")
            continue
        counts += world.counts
        trace ^= world.trace
    seconds = time.process_time() - began
    click.echo(f"{seeds} histories, {len(failed)} failed, {seeds / seconds:.0f} a second of CPU, trace {trace:016x}")
    click.echo("  ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    if note:
        runs = json.loads(LEDGER.read_text()) if LEDGER.exists() else []
        runs.append({
            "engine": _commit(), "first": first, "seeds": seeds, "theme": theme, "failed": failed,
            "trace": f"{trace:016x}", "cpu_seconds": round(seconds), "counts": dict(sorted(counts.items())),
        })  # fmt: skip
        LEDGER.write_text(json.dumps(runs, indent=1) + "\n")
    raise SystemExit(bool(failed))


def _commit() -> str:
    """The last commit of what is simulated."""
    command = ("git", "log", "-1", "--format=%h", "--", "raft", "tests/simulation/cores")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
