"""The private parts of pysyncobj that `hardened` replaces and uses. They are checked at import, with the version."""

from types import CodeType

import pysyncobj.syncobj as library
from pysyncobj.version import VERSION

WANTED_VERSION = "0.3.17"
METHODS = (
    "_SyncObj__onMessageReceived",
    "_SyncObj__onNodeConnected",
    "_SyncObj__onNodeDisconnected",
    "_SyncObj__onBecomeLeader",
    "_SyncObj__setCurrentTerm",
    "_SyncObj__setState",
    "_SyncObj__generateRaftTimeout",
    "_SyncObj__sendAppendEntries",
    "_SyncObj__sendNextNodeIdx",
    "_SyncObj__applyLogEntries",
    "_SyncObj__tryLogCompaction",
    "_onTick",
    "_checkCommandsToApply",
)
ATTRIBUTES = (
    "_SyncObj__otherNodes",
    "_SyncObj__readonlyNodes",
    "_SyncObj__connectedNodes",
    "_SyncObj__raftState",
    "_SyncObj__raftCurrentTerm",
    "_SyncObj__votedForNodeId",
    "_SyncObj__raftLeader",
    "_SyncObj__raftElectionDeadline",
    "_SyncObj__raftLog",
    "_SyncObj__raftCommitIndex",
    "_SyncObj__raftLastApplied",
    "_SyncObj__raftNextIndex",
    "_SyncObj__raftMatchIndex",
    "_SyncObj__lastResponseTime",
    "_SyncObj__newAppendEntriesTime",
    "_SyncObj__noopIDx",
    "_poller",
)
GLOBALS = ("monotonicTime", "random")


def check_library() -> None:
    """What `hardened` counts on is there. Raises: ImportError."""
    if VERSION != WANTED_VERSION:
        raise ImportError(f"pysyncobj {VERSION}; its private names were checked for {WANTED_VERSION} alone")
    made: CodeType = library.SyncObj.__init__.__code__
    missing = [name for name in METHODS if not callable(getattr(library.SyncObj, name, None))]
    missing += [name for name in ATTRIBUTES if name not in made.co_names]
    missing += [name for name in GLOBALS if not hasattr(library, name)]
    if missing:
        raise ImportError(f"pysyncobj {VERSION} has no {', '.join(missing)}")
