"""The committed list of seeds that were clean: which engine, which commit, which options, what happened in them."""

import fcntl
import json
import os
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .options import options_digest
from .run import Outcome

PATH = Path(__file__).parent / "ledger.json"
NEW_SEEDS_FIRST = 1_000_000
NEW_RANGES = 100_000_007


@dataclass(slots=True)
class Tally:
    """Clean histories of one engine, in a range of seeds."""

    engine: str
    first_seed: int
    history_count: int = 0
    virtual_s: float = 0.0
    cpu_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter[str])
    figures: Counter[str] = field(default_factory=Counter[str])

    def add(self, outcome: Outcome) -> None:
        assert outcome.is_clean, f"seed {outcome.seed} is not clean"
        assert outcome.seed == self.first_seed + self.history_count, f"seed {outcome.seed} is out of order"
        self.history_count += 1
        self.virtual_s += outcome.virtual_s
        self.cpu_s += outcome.cpu_s
        self.counts += outcome.counts
        self.figures += Counter(outcome.figures)

    def row(self) -> dict[str, object]:
        return {
            "engine": self.engine,
            "seeds": [self.first_seed, self.first_seed + self.history_count - 1],
            "commit": commit(),
            "options": options_digest(),
            "virtual_s": round(self.virtual_s),
            "cpu_s": round(self.cpu_s),
            "counts": dict(sorted(self.counts.items())),
            "figures": dict(sorted(self.figures.items())),
        }


def new_first_seed() -> int:
    """Where seeds begin that nobody has run: each commit has a thousand; what is changed, or unknown, draws by time."""
    told = commit()
    number = time.time_ns() if told.endswith("+") or told == "unknown" else int(told, 16)
    return NEW_SEEDS_FIRST + number % NEW_RANGES * 1_000


def append(tally: Tally, path: Path = PATH) -> None:
    """One row per run; an empty one says nothing."""
    if tally.history_count:
        with path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # several runs at a time
            file.seek(0)
            rows = json.loads(file.read() or "[]")
            rows.append(tally.row())
            file.truncate(0)
            file.write("[\n" + ",\n".join(" " + json.dumps(row) for row in rows) + "\n]\n")


def commit() -> str:
    """Of the code that ran; with a plus sign if it was changed since. A copy without its history is told by name."""
    if told := os.environ.get("SIMULATED_COMMIT"):
        return told
    root = PATH.parent.parent.parent
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            ["git", "status", "--short", "--", "raft", "sharding", "store", "gateway"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
