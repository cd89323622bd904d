"""What the hardened engine counts on in pysyncobj is checked when it is imported, and nothing of it is ever pickled."""

import pysyncobj.pickle
import pysyncobj.syncobj as library
import pytest

from raft.syncobj import private_names
from raft.syncobj.clocks import CURRENT

from .histories import CHANGES, run
from .world import HARDENED


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    private_names.check_library()
    monkeypatch.setattr(private_names, "VERSION", "0.3.18")
    with pytest.raises(ImportError, match=r"0\.3\.18"):
        private_names.check_library()


@pytest.mark.parametrize("name", private_names.METHODS)
def test_a_method_that_is_gone_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(library.SyncObj, name)
    with pytest.raises(ImportError, match=name):
        private_names.check_library()


def test_a_field_that_is_gone_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_names, "ATTRIBUTES", ("_SyncObj__raftLog", "_SyncObj__raftNoLog"))
    with pytest.raises(ImportError, match="raftNoLog"):
        private_names.check_library()


def test_nothing_is_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("pickle")

    for name in ("dumps", "loads", "dump", "load"):
        if hasattr(pysyncobj.pickle, name):
            monkeypatch.setattr(pysyncobj.pickle, name, refuse)
    assert run(1, HARDENED, CHANGES).acknowledged > 0


def test_the_library_has_its_own_time_again_when_no_member_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    run(1, HARDENED, steps=5)
    assert CURRENT.member is not None
    monkeypatch.setattr(CURRENT, "member", None)
    before = library.monotonicTime()
    assert library.monotonicTime() >= before > 0
    assert 0 <= library.random.random() < 1
