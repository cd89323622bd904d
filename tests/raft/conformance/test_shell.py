"""The shell's own tests again, with pysyncobj under it: what they claim of a group holds on either engine.

Election, replication, what is acknowledged over crashes and partitions and power cuts, barriers, transfer, members,
damage, wiped disks, full disks, errors in apply: the tests of `tests/raft`, imported.
"""

from collections.abc import Callable, Iterator

import pytest

from raft.engines import Engine
from raft.host import RaftHost
from raft.interfaces import GroupId
from raft.syncobj.core import SyncObjCore
from tests.raft import test_cluster, test_cluster_install, test_cluster_members, test_crashes, test_group
from tests.support.raft_cluster import RaftCluster

ELSEWHERE = {
    "test_a_power_cut_in_any_call_loses_nothing_acknowledged",
    "test_a_kill_in_any_call_and_a_power_cut_in_the_next_life_lose_nothing",
    "test_a_writer_that_does_not_sync_is_caught",
    "test_a_log_whose_names_are_not_synced_is_caught",
    "test_a_learner_that_was_removed_while_it_was_down_learns_of_it",
    "test_the_real_one_loses_nothing_in_the_same_power_cuts",
}
"""Long ones, whose shorter sisters stay, those that judge the disk's double alone, and one of shards.

A learner on pysyncobj does not ask whether it was removed: only the catalog is there, and no node leaves that."""


def _pysyncobj(_group_id: GroupId) -> Engine:
    return Engine.PYSYNCOBJ


@pytest.fixture(autouse=True)
def _on_pysyncobj(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for made_by, name, value in (
        (RaftHost.__init__, "engine_of", _pysyncobj),
        (RaftCluster.__init__, "engines", (Engine.PYSYNCOBJ,)),
    ):
        defaults = made_by.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, name, value)
    made: list[SyncObjCore] = []
    original = SyncObjCore.__init__

    def noting(self: SyncObjCore, *arguments: object) -> None:
        made.append(self)
        original(self, *arguments)  # pyright: ignore[reportArgumentType] - handed through

    monkeypatch.setattr(SyncObjCore, "__init__", noting)
    yield
    assert made, "no group was on pysyncobj"


def _claims(*modules: object) -> dict[str, Callable[..., object]]:
    found = {name: claim for module in modules for name, claim in vars(module).items() if name.startswith("test_")}
    return {name: claim for name, claim in found.items() if name not in ELSEWHERE}


globals().update(_claims(test_cluster, test_cluster_members, test_cluster_install, test_group, test_crashes))
