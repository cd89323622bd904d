"""When a shard saves its state, so that a restart replays little (docs/decisions/0007)."""

import asyncio
from collections.abc import Callable

# A command costs a restart as much time as so many bytes of large ones.
COMMAND_BYTES = 2_048
# A node has several shards, and none of them is led by it before all that is committed is applied: after so many
# commands the next checkpoint is at most `PAUSE_S` away.
COMMANDS_MAX = 4_096
PAUSE_S = 1.0


class CheckpointPace:
    """Calls `save` from the loop, never inside an apply; `save` says `on_saved`. Belongs to one event loop."""

    __slots__ = ("_bytes", "_bytes_max", "_call_soon", "_commands", "_is_due", "_save", "_timer")

    def __init__(
        self, bytes_max: int, save: Callable[[], None], call_soon: Callable[[Callable[[], object]], object]
    ) -> None:
        self._bytes_max = bytes_max
        self._save = save
        self._call_soon = call_soon
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False
        self._bytes = self._commands = 0

    def on_applied(self, size: int, command_count: int) -> None:
        """An entry of so many bytes and commands."""
        self._bytes += size + COMMAND_BYTES * command_count
        self._commands += command_count
        if self._bytes >= self._bytes_max:
            self._want()
        elif self._commands >= COMMANDS_MAX and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PAUSE_S, self._want)

    def on_saved(self) -> None:
        self._is_due = False
        self._bytes = self._commands = 0
        self.stop()

    def stop(self) -> None:
        """Nothing is saved by the clock any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _want(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._call_soon(self._save)
