"""What one node does for all: whoever leads the catalog gives the coordinator slots their shards.

It runs when leadership of group 0 begins and whenever nodes or shards changed.
"""

import asyncio
import logging
from collections.abc import Callable

from raft.interfaces import Role, RoleChange

from .bell import Bell
from .changes import Changes
from .errors import ClosingError, ShardingError
from .shard import Shard

RETRY_PAUSE_S = 0.5
REGISTRATION_TIMEOUT_S = 5.0


class Controller:
    """Owns the one task that runs while this node leads the catalog."""

    def __init__(
        self,
        catalog_shard: Shard,
        changes: Changes,
        *,
        is_complete: Callable[[], bool],
        bell: Bell,
        logger: logging.Logger,
    ) -> None:
        """`is_complete`: all members of group 0 are registered, so that their hosts are known."""
        self._catalog_shard = catalog_shard
        self._changes = changes
        self._is_complete = is_complete
        self._bell = bell
        self._logger = logger
        self._task: asyncio.Task[None] | None = None
        self._is_due = False
        self._is_started = False
        self._is_closed = False

    def start(self) -> None:
        """Before this, nothing is done."""
        self._is_started = True
        self._catalog_shard.observe_roles(self._on_role)
        if self._catalog_shard.is_leader:
            self.on_nodes_changed()

    def on_nodes_changed(self) -> None:
        """Nodes or shards are other than before."""
        self._is_due = True
        if self._is_started and self._catalog_shard.is_leader and self._task is None and not self._is_closed:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="controller")

    async def close(self) -> None:
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _on_role(self, change: RoleChange) -> None:
        if change.role is Role.LEADER:
            self.on_nodes_changed()

    async def _run(self) -> None:
        try:
            if not self._changes.has_slots:
                # A host's label tells where replicas go: wait for it a little.
                await self._bell.until(self._is_complete, REGISTRATION_TIMEOUT_S)
            while self._catalog_shard.is_leader and self._is_due:
                self._is_due = False
                if self._changes.has_slots:
                    continue
                try:
                    await self._changes.assign_slots()
                except ClosingError:
                    return
                except ShardingError as error:
                    self._is_due = True
                    self._logger.warning("the coordinators have no shards yet: %s", error)
                    await asyncio.sleep(RETRY_PAUSE_S)
        except Exception:
            self._logger.exception("the controller failed")
        finally:
            self._task = None
