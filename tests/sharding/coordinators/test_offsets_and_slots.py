"""Committed offsets, slots and their snapshots, the commands, subscriptions, deadlines."""

import logging
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharding.commands.command import StructCommand
from sharding.commands.groups import CommitOffsets, DeleteGroup, DeleteOffsets, SaveGroup
from sharding.commands.table import COMMANDS, decode_body, encode
from sharding.coordinators import offsets as offsets_module
from sharding.coordinators.deadlines import DUE_MAX, STALE_MAX, Deadlines
from sharding.coordinators.interfaces import CommittedOffset
from sharding.coordinators.offsets import METADATA_CHARS_MAX, OffsetRow, Offsets, checked_rows
from sharding.coordinators.saved import SavedGroup, SavedMember
from sharding.coordinators.slots import SLOT_COUNT, GroupSlot, GroupSlots, slot_of
from sharding.coordinators.subscriptions import is_subscribed, subscribed_topics_or_none
from sharding.errors import InvalidRequestError, OffsetMetadataTooLargeError
from tests.support.fake_clock import FakeClock

LOG = logging.getLogger("test")
MEMBER = SavedMember("m", "i", "c", "/h", 10_000, 60_000, (("range", b"\x00\xff"),), b"\x01")
GROUP = SavedGroup("g", "consumer", 7, "range", "m", (MEMBER,))


def row(partition: int, offset: int) -> OffsetRow:
    return OffsetRow(partition, offset, 3, "note", 99)


def test_slot_of_a_group_never_changes() -> None:
    # Golden: a slot's group must be found by every later version.
    assert [slot_of(name) for name in ("", "a", "orders", "größe")] == [0, 48, 10, 23]
    assert {slot_of(f"group-{n}") for n in range(2_000)} == set(range(SLOT_COUNT))


def test_last_commit_of_a_partition_wins_also_backwards() -> None:
    held = Offsets([("t", (row(0, 10), row(1, 11)))])
    held.commit([("t", (row(0, 5),)), ("u", (row(0, 1),))])
    found = held.find(None)
    assert {key: each.offset for key, each in found.items()} == {("t", 0): 5, ("t", 1): 11, ("u", 0): 1}
    assert found["t", 0] == CommittedOffset(offset=5, leader_epoch=3, metadata="note", commit_ms=99)
    assert len(held) == 3


def test_partition_without_an_offset_is_absent() -> None:
    held = Offsets([("t", (row(0, 10),))])
    assert set(held.find([("t", 0), ("t", 1), ("u", 0)])) == {("t", 0)}


def test_removed_offsets_are_gone_and_others_stay() -> None:
    held = Offsets([("t", (row(0, 1), row(1, 1))), ("u", (row(0, 1),))])
    held.remove([("t", 0), ("u", 0), ("u", 0), ("v", 0)])
    assert set(held.find(None)) == {("t", 1)}
    assert len(held) == 1


def test_metadata_is_bounded() -> None:
    fits = CommittedOffset(offset=1, metadata="x" * METADATA_CHARS_MAX)
    assert checked_rows({("t", 0): fits}, Offsets(), 1)
    with pytest.raises(OffsetMetadataTooLargeError):
        checked_rows({("t", 0): CommittedOffset(offset=1, metadata="x" * (METADATA_CHARS_MAX + 1))}, Offsets(), 1)


def test_partitions_of_a_group_are_bounded_but_can_be_committed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets_module, "PARTITIONS_MAX", 2)
    held = Offsets([("t", (row(0, 1), row(1, 1)))])
    assert checked_rows({("t", 0): CommittedOffset(offset=2), ("t", 1): CommittedOffset(offset=2)}, held, 1)
    with pytest.raises(InvalidRequestError):
        checked_rows({("t", 2): CommittedOffset(offset=2)}, held, 1)


def test_commit_is_stamped_unless_the_client_did() -> None:
    rows = checked_rows(
        {("t", 0): CommittedOffset(offset=1), ("t", 1): CommittedOffset(offset=1, commit_ms=5)}, Offsets(), 77
    )
    assert [each.commit_ms for each in rows[0][1]] == [77, 5]


names = st.text(max_size=8)
rows_of_topic = st.dictionaries(st.integers(0, 5), st.integers(0, 2**62), max_size=4)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), names, st.dictionaries(names, rows_of_topic, max_size=3)),
        st.tuples(st.just("save"), names, st.integers(0, 100)),
        st.tuples(st.just("delete"), names, st.none()),
        st.tuples(st.just("delete offsets"), names, st.lists(st.tuples(names, st.integers(0, 5)), max_size=4)),
    ),
    max_size=20,
)


def applied(slots: GroupSlots, operation: tuple[str, str, object]) -> None:
    kind, group_id, what = operation
    slot = slots.of(group_id)
    if kind == "commit":
        assert isinstance(what, dict)
        topics = [(topic, tuple(row(*each) for each in held.items())) for topic, held in what.items() if held]
        if topics:
            slot.commit(group_id, topics)
    elif kind == "save":
        slot.save(SavedGroup(group_id, "consumer", int(str(what)), "range", "m", (MEMBER,)))
    elif kind == "delete":
        slot.delete(group_id)
    else:
        assert isinstance(what, list)
        slot.delete_offsets(group_id, what)


@given(before=operations, after=operations)
def test_restored_slots_go_on_like_the_ones_they_were_saved_from(
    before: list[tuple[str, str, object]], after: list[tuple[str, str, object]]
) -> None:
    slots, restored = GroupSlots(), GroupSlots()
    for each in before:
        applied(slots, each)
    restored.restore(slots.snapshot())
    assert restored.snapshot() == slots.snapshot()
    for each in after:
        applied(slots, each)
        applied(restored, each)
    assert restored.snapshot() == slots.snapshot()
    for _, group_id, _ in before + after:
        assert restored.of(group_id).offsets(group_id).find(None) == slots.of(group_id).offsets(group_id).find(None)
        assert restored.of(group_id).group_or_none(group_id) == slots.of(group_id).group_or_none(group_id)


def test_restore_takes_the_place_of_what_was_there() -> None:
    slots = GroupSlots()
    slots.of("g").save(GROUP)
    slots.restore(GroupSlots().snapshot())
    assert "g" not in slots.of("g")


def test_slot_that_was_only_asked_is_in_no_snapshot() -> None:
    slots = GroupSlots()
    assert "g" not in slots.of("g")
    assert slots.snapshot() == GroupSlots().snapshot()


def test_group_is_known_by_its_generation_or_by_its_offsets() -> None:
    slot = GroupSlot()
    slot.save(GROUP)
    slot.commit("g", [("t", (row(0, 1),))])
    slot.commit("simple", [("t", (row(0, 1),))])
    assert list(slot) == ["g", "simple"]
    slot.delete_offsets("simple", [("t", 0)])
    slot.delete("g")
    assert len(slot) == 0


SAVED_HEX = (
    "91" "96a167a8636f6e73756d657207a572616e6765a16d"
    "9198a16da169a163a22f68cd2710cdea609192a572616e6765c40200ffc40101"
)  # fmt: skip


@pytest.mark.parametrize(
    ("command", "bytes_"),
    [
        (SaveGroup(GROUP), SAVED_HEX),
        (CommitOffsets("g", (("t", (row(1, 300),)),)), "92a1679192a174919501cd012c03a46e6f746563"),
        (DeleteGroup("g"), "91a167"),
        (DeleteOffsets("g", (("t", 1),)), "92a1679192a17401"),
    ],
)
def test_commands_keep_their_bytes(command: StructCommand, bytes_: str) -> None:
    body = b"".join(encode(command))
    assert body[6:] == bytes.fromhex(bytes_)
    assert [each for each, _ in decode_body(COMMANDS, memoryview(body))] == [command]


def subscription(*topics: str, version: int = 1) -> bytes:
    names_ = b"".join(struct.pack(">h", len(name.encode())) + name.encode() for name in topics)
    return struct.pack(">hi", version, len(topics)) + names_ + b"\x00\x00\x00\x00"


@given(topics=st.sets(st.text(max_size=20)))
def test_topics_of_a_subscription_are_read(topics: set[str]) -> None:
    assert subscribed_topics_or_none(subscription(*topics)) == topics


@given(data=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    topics = subscribed_topics_or_none(data)
    assert topics is None or all(topic.encode() in data for topic in topics)


def test_unreadable_subscription_might_name_any_topic() -> None:
    assert is_subscribed("t", [subscription("u"), b"junk"])
    assert is_subscribed("t", [subscription("u"), subscription("t")])
    assert not is_subscribed("t", [subscription("u"), subscription()])


class Fired(list[tuple[str, int]]):
    """Deadlines over a fake clock, and what they called."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(0)
        self.deadlines = Deadlines[str](self.clock, lambda key: self.append((key, self.clock.now_ms())), LOG)


def test_deadlines_fire_at_their_time_once() -> None:
    fired = Fired()
    for key, at_ms in (("b", 20), ("a", 10), ("c", 30)):
        fired.deadlines.set(key, at_ms)
    fired.clock.advance(100)
    assert fired == [("a", 10), ("b", 20), ("c", 30)]
    assert len(fired.deadlines) == 0


def test_deadline_that_moves_is_heard_at_its_last_time() -> None:
    fired = Fired()
    fired.deadlines.set("later", 10)
    fired.deadlines.set("later", 50)
    fired.deadlines.set("sooner", 50)
    fired.deadlines.set("sooner", 10)
    fired.deadlines.set("gone", 20)
    fired.deadlines.set("gone", None)
    fired.clock.advance(100)
    assert fired == [("sooner", 10), ("later", 50)]


def test_deadline_in_the_past_is_due_at_once_but_not_inside_the_call() -> None:
    fired = Fired()
    fired.deadlines.set("a", -5)
    assert not fired
    fired.clock.advance(0)
    assert fired == [("a", 0)]


def test_many_due_at_once_are_spread_over_turns() -> None:
    fired = Fired()
    for n in range(3 * DUE_MAX):
        fired.deadlines.set(str(n), 10)
    fired.clock.advance(10)
    assert len(fired) == 3 * DUE_MAX


def test_heap_stays_bounded_however_often_deadlines_move() -> None:
    fired = Fired()
    for n in range(10_000):
        fired.deadlines.set(str(n % 7), 1_000_000 - n)
    assert fired.deadlines.entry_count <= 2 * 7 + STALE_MAX
    assert fired.clock.timer_count == 1
    fired.deadlines.close()
    assert fired.clock.timer_count == 0


def test_mistake_over_one_key_stops_no_others(caplog: pytest.LogCaptureFixture) -> None:
    clock, seen = FakeClock(0), []

    def on_due(key: str) -> None:
        seen.append(key)
        if key == "bad":
            raise ValueError(key)

    deadlines = Deadlines[str](clock, on_due, LOG)
    for key in ("bad", "good"):
        deadlines.set(key, 10)
    clock.advance(10)
    assert seen == ["bad", "good"]
    assert "deadline of 'bad'" in caplog.text
