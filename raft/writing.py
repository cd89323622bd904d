"""A group's orders to the writer: what to write, when its durable mark follows, when a full disk is tried again."""

import logging
from collections.abc import Sequence

from .clock import Clock, Timer
from .group_files import GroupFiles
from .hard_state import HardState
from .job_thread import JobRunner
from .placed import Cut, PlacedRun
from .settings import RaftSettings
from .writer import (
    AppendEntries,
    ClearDamage,
    CloseFiles,
    NoteBadEntry,
    NoteDurable,
    Retry,
    SaveHardState,
    Truncate,
    WriterJob,
)

logger = logging.getLogger(__name__)


class Writing:
    """Of one set of open files, until `close`; what is ordered is done in this order.

    `is_full`: entries wait for space on the disk.
    """

    def __init__(
        self, files: GroupFiles, submit_to: JobRunner[WriterJob], clock: Clock, settings: RaftSettings
    ) -> None:
        self.files = files
        self.is_full = False
        self._runner = submit_to
        self._clock = clock
        self._settings = settings
        self._is_closed = False
        self._retry_timer: Timer | None = None
        self._mark_timer: Timer | None = None

    def save(self, state: HardState) -> None:
        self._runner.submit(SaveHardState(self.files, state))

    def truncate(self, cut: Cut) -> None:
        self._runner.submit(Truncate(self.files, cut))

    def append(self, placed: Sequence[PlacedRun]) -> None:
        self._runner.submit(AppendEntries(self.files, placed))

    def note_bad_entry(self, reason: str) -> None:
        if not self._is_closed:
            self._runner.submit(NoteBadEntry(self.files, reason))

    def clear_damage(self) -> None:
        self._runner.submit(ClearDamage(self.files))

    def close(self) -> None:
        """The last order; the writer answers `FilesClosed`."""
        if not self._is_closed:
            self._is_closed = True
            self._runner.submit(CloseFiles(self.files))
            for timer in (self._retry_timer, self._mark_timer):
                if timer is not None:
                    timer.cancel()

    def on_persisted(self) -> None:
        self.is_full = False
        if self._mark_timer is None and not self._is_closed:
            self._mark_timer = self._clock.call_later(self._settings.mark_ms, self._note_durable)

    def on_full(self) -> bool:
        """True each time that a try ended so, not for what queued up meanwhile."""
        if not self.is_full:
            logger.error("%s: the disk is full; proposals are refused until space returns", self.files.directory)
        self.is_full = True
        if self._retry_timer is not None or self._is_closed:
            return False
        self._retry_timer = self._clock.call_later(self._settings.space_retry_ms, self._retry)
        return True

    def _retry(self) -> None:
        self._retry_timer = None
        if not self._is_closed:
            self._runner.submit(Retry(self.files))

    def _note_durable(self) -> None:
        self._mark_timer = None
        if not self._is_closed:
            self._runner.submit(NoteDurable(self.files))
