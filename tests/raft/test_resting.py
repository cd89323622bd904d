"""What a pair of nodes says for its groups at rest: exact bytes, and what they are evidence of."""

from raft.codec import HeartbeatRow, encode_heartbeat_responses, encode_heartbeats
from raft.interfaces import GroupId, Index, Term
from raft.resting import Listening, Speaking, answers

ROWS = [HeartbeatRow(GroupId(group), Term(3), Index(9), 2) for group in (1, 2, 5)]
FRAME = memoryview(encode_heartbeats(ROWS))
ANSWER = memoryview(encode_heartbeat_responses(answers(ROWS)))


def speaking() -> Speaking[int]:
    speaking: Speaking[int] = Speaking()
    for row in ROWS:
        speaking.join(row.group_id, row, 100 * row.group_id)
    return speaking


def listening() -> Listening[int]:
    listening: Listening[int] = Listening()
    listening.begin([1, 2, 5], ROWS, FRAME, 1_000)
    return listening


def test_the_frame_is_made_once_and_anew_when_a_group_leaves() -> None:
    pair = speaking()
    assert pair.frame == FRAME
    assert pair.frame is pair.frame
    pair.leave(2)
    assert pair.frame == encode_heartbeats([ROWS[0], ROWS[2]])


def test_only_the_answer_to_all_that_is_said_now_counts() -> None:
    pair = speaking()
    assert pair.heard_ms == 100, "the evidence of the first group; a later one does not put silence off"
    assert not pair.hears(ANSWER[:-1], 2_000)
    assert not pair.hears(memoryview(encode_heartbeat_responses(answers(ROWS[:2]))), 2_000)
    assert pair.heard_ms == 100
    assert pair.hears(ANSWER, 2_000)
    assert pair.heard_ms == 2_000
    pair.leave(5)
    assert not pair.hears(ANSWER, 2_100), "of a group that is lively again"


def test_an_answer_to_nothing_is_none() -> None:
    pair: Speaking[int] = Speaking()
    assert not pair.hears(memoryview(b""), 2_000)


def test_the_same_bytes_are_heard_and_owed_an_answer() -> None:
    pair = listening()
    assert (pair.answer, pair.owes) == (ANSWER, False)
    assert pair.hears(FRAME, 1_100)
    assert (pair.heard_ms, pair.owes) == (1_100, True)
    assert not pair.hears(memoryview(encode_heartbeats([ROWS[0], ROWS[1]])), 1_200)
    assert pair.heard_ms == 1_100


def test_the_same_bytes_are_new_once_a_group_has_left() -> None:
    pair = listening()
    assert pair.hears(FRAME, 1_100)
    pair.leave(2)
    assert not pair.owes, "what was said is not answered for a group that has left"
    assert not pair.hears(FRAME, 1_200)
    assert list(pair.groups) == [1, 5]
