import itertools

import pytest

from raft.errors import CorruptLogError, ForeignDirectoryError
from raft.hard_state import BLOCK_BYTES, HardState, HardStateFile
from raft.interfaces import GroupId, NodeId, Term
from tests.support.faulty_disk import FaultyDisk, PowerCutError

GROUP = GroupId(3)


def a_disk() -> FaultyDisk:
    disk = FaultyDisk()
    disk.make_directory("/g")
    return disk


def saved(disk: FaultyDisk, *states: HardState) -> None:
    file = HardStateFile(disk, "/g", GROUP)
    for state in states:
        file.save(state)
    file.close()


def test_what_was_saved_is_read() -> None:
    disk = a_disk()
    assert HardStateFile(disk, "/g", GROUP).state == HardState(Term(0), None)
    saved(disk, HardState(Term(4), NodeId(0)), HardState(Term(9), None))
    assert HardStateFile(disk, "/g", GROUP).state == HardState(Term(9), None)


def test_a_saved_term_survives_a_power_cut() -> None:
    disk = a_disk()
    saved(disk, HardState(Term(4), NodeId(1)))
    assert HardStateFile(disk.crash(1), "/g", GROUP).state == HardState(Term(4), NodeId(1))


def test_a_power_cut_while_saving_leaves_the_old_term_or_the_new_one() -> None:
    found: set[int] = set()
    for seed, at in itertools.product(range(10), range(5)):
        disk = a_disk()
        saved(disk, HardState(Term(4), NodeId(1)))
        file = HardStateFile(disk, "/g", GROUP)
        disk.cut_at = disk.call_count + at
        try:
            file.save(HardState(Term(5), NodeId(1)))
            is_saved = True
        except PowerCutError:
            is_saved = False
        term = HardStateFile(disk.crash(seed), "/g", GROUP).state.term
        assert term == 5 or (term == 4 and not is_saved)
        found.add(term)
    assert found == {4, 5}


@pytest.mark.parametrize("block", [0, BLOCK_BYTES])
def test_one_damaged_copy_never_brings_an_older_term_back(block: int) -> None:
    disk = a_disk()
    saved(disk, HardState(Term(4), NodeId(1)), HardState(Term(5), NodeId(1)))
    disk.content("/g/hard_state")[block + 20] ^= 1
    assert HardStateFile(disk, "/g", GROUP).state == HardState(Term(5), NodeId(1))
    disk.content("/g/hard_state")[BLOCK_BYTES - block + 20] ^= 1
    assert HardStateFile(disk, "/g", GROUP).state == HardState(Term(5), NodeId(1)), "opening restores the copy"


def test_two_damaged_copies_are_refused() -> None:
    disk = a_disk()
    saved(disk, HardState(Term(4), NodeId(1)))
    for block in (0, BLOCK_BYTES):
        disk.content("/g/hard_state")[block + 20] ^= 1
    with pytest.raises(CorruptLogError):
        HardStateFile(disk, "/g", GROUP)


def test_the_file_of_another_group_is_refused() -> None:
    disk = a_disk()
    saved(disk, HardState(Term(4), NodeId(1)))
    with pytest.raises(ForeignDirectoryError):
        HardStateFile(disk, "/g", GroupId(4))


def test_a_term_that_falls_is_our_fault() -> None:
    disk = a_disk()
    with pytest.raises(AssertionError, match="falls"):
        saved(disk, HardState(Term(4), None), HardState(Term(3), None))
