"""kill -9 in the middle of sealing: afterwards every event is answered exactly once, and nothing is left over."""

import time

import pytest

from tests.support.disorder import Disorder
from tests.support.sealing_crashes import counts_of, kill_while_sealing
from tests.support.served import ServedNode
from tests.support.time_questions import create_stream, seal
from tests.support.views_checks import check_views, wait_final

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

SEED = 20_261_126
KILLS = 3


def test_kills_while_sealing_lose_and_double_nothing(own_node: ServedNode) -> None:
    own_node.start()
    start_ms = time.time_ns() // 1_000_000 - 3_600_000
    stream = Disorder(SEED, start_ms, lateness_ms=500, partition_count=2)
    create_stream(own_node, "crashed", stream, tick_ms="50", idle_ms="500")
    killed = kill_while_sealing(own_node, "crashed", stream, KILLS, events=250, within_s=1.0)
    print(f"{KILLS} kills found {counts_of(killed.states)}, {killed.merge_count} merges under way; seed {SEED}")
    seal(own_node, "crashed")
    wait_final(own_node, "crashed", stream)
    check_views(own_node, "crashed", stream)
