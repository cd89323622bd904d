"""What a served node ends with when it cannot go on."""

import errno
import threading
from pathlib import Path

import pytest

from raft.disk import LocalFile
from timesplit import telemetry
from timesplit.errors import NodeFailedError
from timesplit.lifecycle import serve
from timesplit.settings import Settings


def test_a_start_whose_disk_fails_ends_with_the_disk_s_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start waits for the catalog's leader meanwhile, and learns only that the group has stopped."""
    sync = LocalFile.sync

    def failing(file: LocalFile) -> None:
        if threading.current_thread().name == "raft-writer":
            raise OSError(errno.EIO, "input/output error")
        sync(file)

    monkeypatch.setattr(LocalFile, "sync", failing)
    monkeypatch.setattr(telemetry, "log_to_stderr", lambda: None)
    with pytest.raises(NodeFailedError, match="input/output error") as failed:
        serve(Settings(data=str(tmp_path / "data"), kafka="127.0.0.1:0", http="127.0.0.1:0"))
    assert isinstance(failed.value.__cause__, OSError)
