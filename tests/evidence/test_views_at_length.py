"""Views under load, with seals, kills and restarts in random order: what was final never changes."""

import time
from pathlib import Path

import pytest

from tests.support.disorder import Disorder
from tests.support.served import ServedNode
from tests.support.time_questions import append, create_stream, seal
from tests.support.views_checks import check_unchanged, check_views, wait_final

pytestmark = [pytest.mark.evidence, pytest.mark.timeout(3_600)]

STEPS = 30


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_finals_never_change(tmp_path: Path, seed: int) -> None:
    node = ServedNode(tmp_path / "data").start()
    try:
        start_ms = time.time_ns() // 1_000_000 - 3_600_000
        stream = Disorder(seed, start_ms, lateness_ms=400, partition_count=3)
        create_stream(node, "final", stream, tick_ms="20", idle_ms="300", split_bytes="65536")
        before: dict = {}
        done: list[str] = []
        for _ in range(STEPS):
            step = stream.random.choice(("append", "append", "append", "seal", "kill", "stop"))
            done.append(step)
            append(node, "final", stream, stream.random.randint(50, 400))
            match step:
                case "seal":
                    seal(node, "final")
                case "kill":
                    node.kill()
                    node.start()
                case "stop":
                    assert node.stop() == 0
                    node.start()
            after = check_views(node, "final", stream)
            check_unchanged(before, after)
            before = after
        wait_final(node, "final", stream)
        after = check_views(node, "final", stream)
        check_unchanged(before, after)
        counts = {place: len(rows) for place, rows in after.items()}
        assert counts["final.__time", 0] == len(stream.events)
        steps = {step: done.count(step) for step in sorted(set(done))}
        print(f"\nseed {seed}: {steps}; {counts}; every rank the same at every look")
    finally:
        node.kill()
