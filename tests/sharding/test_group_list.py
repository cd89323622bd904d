"""The groups of all nodes: a coordinator that still loads is told as such, and nobody is asked in vain."""

import logging
import warnings

import pytest

from raft.interfaces import NodeId
from sharding.calls import NodePeers
from sharding.coordinators.interfaces import GroupsApi
from sharding.errors import CoordinatorLoadingError
from sharding.group_list import GroupList


class Loading(GroupsApi):
    def list(self):
        raise CoordinatorLoadingError("shard 1 has no leader yet")


class Peers(NodePeers):
    def serve(self, kind, handler) -> None:
        del kind, handler

    def live_nodes(self):
        return {NodeId(2)}


@pytest.mark.anyio
async def test_while_the_own_coordinators_load_the_others_are_not_asked() -> None:
    found = GroupList(Loading, Peers(), logger=logging.getLogger("test"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(CoordinatorLoadingError):
            await found.all()
    assert not caught, "a question that was made and never asked"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
