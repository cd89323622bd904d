"""100,000 damaged frames against a served node, beside a good client."""

import time
from pathlib import Path

import pytest

from gateway.wire.error_codes import ErrorCode
from tests.support.frames_fuzz import fuzz
from tests.support.good_client import GoodClient
from tests.support.served import ServedNode

pytestmark = [pytest.mark.evidence, pytest.mark.timeout(3_600)]

FRAMES = 100_000
SEEDS = (1, 2, 3, 4)
MIB = 1 << 20


def test_100000_damaged_frames(tmp_path: Path) -> None:
    node = ServedNode(tmp_path / "data").start()
    try:
        node.post_json("/api/v1/topics", {"name": "good", "partitions": 1})
        node.post_json("/api/v1/topics", {"name": "stream", "partitions": 1, "schema": {"n": "long"}})
        # What every node holds after its first requests of each kind, and its first tick, is no growth.
        fuzz(node.kafka, "stream", 0, 2_000)
        for seed in SEEDS:
            begun = time.monotonic()
            with GoodClient(node, "good") as good:
                outcome = fuzz(node.kafka, "stream", seed, FRAMES // len(SEEDS))
            took_s = time.monotonic() - begun
            print(
                f"\nseed {seed}: {outcome} in {took_s:.0f} s; good client: {good.round_count} rounds, "
                f"worst {good.worst_ms:.0f} ms; growth {good.growth_bytes / MIB:.1f} MiB"
            )
            assert good.growth_bytes < 64 * MIB
            assert good.worst_ms < 1_000
        assert node.metric("timesplit_kafka_closed_total", reason="a fault of ours") == 0
        with pytest.raises(KeyError):
            node.metric("timesplit_kafka_errors_total", code=ErrorCode.UNKNOWN_SERVER_ERROR.name)
        node.post_json("/api/v1/topics/stream/splits/seal", {})
    finally:
        node.kill()
