"""Messages as bytes: exact ones, all of them back and forth, and what is refused."""

import random
import struct
from collections.abc import Callable, Sequence

import msgspec
import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

import raft.messages
from raft.codec import (
    DECODERS,
    ENCODERS,
    HeartbeatResponseRow,
    HeartbeatRow,
    MessageKind,
    decode,
    decode_heartbeat_responses,
    decode_heartbeats,
    encode,
    encode_heartbeat_responses,
    encode_heartbeats,
)
from raft.entries import HEADER_BYTES, Entry, EntryKind, new_entry
from raft.entry_runs import joined_run, run_of
from raft.errors import BadMessageError
from raft.interfaces import GroupId, Index, Term
from raft.messages import (
    AppendRequest,
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallRequest,
    InstallResponse,
    Message,
    PreVoteRequest,
    PreVoteResponse,
    ReadRequest,
    ReadResponse,
    Removed,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)

HEAD_BYTES = 49
numbers = st.integers(0, (1 << 63) - 1)
terms = numbers.map(Term)
indexes = numbers.map(Index)


@st.composite
def append_requests(draw: st.DrawFn) -> AppendRequest:
    """Entries that follow each other, in buffers of any number."""
    prev_index = draw(st.integers(0, 1 << 60))
    prev_term = draw(st.integers(0, 1 << 60))
    entries: list[Entry] = []
    term = prev_term
    for index in range(prev_index + 1, prev_index + 1 + draw(st.integers(0, 5))):
        term += draw(st.integers(0, 3))
        body = draw(st.lists(st.binary(max_size=40), max_size=3))
        entries.append(new_entry(Term(term), Index(index), draw(st.sampled_from(EntryKind)), sum(map(len, body)), body))
    committed, round_ = draw(indexes), draw(numbers)
    leader_term = Term(term + draw(st.integers(0, 3)))
    return AppendRequest(leader_term, Index(prev_index), Term(prev_term), committed, round_, entries)


messages = st.one_of(
    append_requests(),
    st.builds(PreVoteRequest, terms, terms, indexes),
    st.builds(PreVoteResponse, terms, st.booleans(), st.booleans(), st.booleans()),
    st.builds(VoteRequest, terms, terms, indexes, st.booleans()),
    st.builds(VoteResponse, terms, st.booleans(), st.booleans(), st.booleans()),
    st.builds(AppendResponse, terms, st.booleans(), indexes, numbers, indexes, terms),
    st.builds(TimeoutNow, terms),
    st.builds(ReadRequest, terms, numbers),
    st.builds(ReadResponse, terms, numbers, indexes),
    st.builds(InstallRequest, terms, indexes, terms),
    st.builds(InstallResponse, terms, indexes),
    st.builds(Removed, terms, indexes),
)


def payload_of(message: Message) -> tuple[MessageKind, memoryview]:
    kind, buffers = encode(message)
    return kind, memoryview(b"".join(buffers))


def joined(message: Message) -> Message:
    """The same message with the body of each entry in one piece, or in none."""
    if not isinstance(message, AppendRequest):
        return message
    bodies = [b"".join(entry.body) for entry in message.entries]
    entries = [
        entry._replace(body=(body,) if body else (), header=bytes(entry.header))
        for entry, body in zip(message.entries, bodies, strict=True)
    ]
    return msgspec.structs.replace(message, entries=entries)


@given(message=messages)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    assert joined(decode(*payload_of(message))) == joined(message)


def test_every_message_has_bytes() -> None:
    known = {one for one in vars(raft.messages).values() if isinstance(one, type) and issubclass(one, Message)}
    assert set(ENCODERS) == known - {Message, Heartbeat, HeartbeatResponse}
    of_many = {MessageKind.HEARTBEATS, MessageKind.HEARTBEATS_AT_REST, MessageKind.HEARTBEAT_RESPONSES}
    assert set(DECODERS) == set(MessageKind) - of_many


@pytest.mark.parametrize(
    ("message", "kind", "expected"),
    [
        (PreVoteRequest(Term(3), Term(2), Index(9)), 1, "0000000000000003 0000000000000002 0000000000000009"),
        (PreVoteResponse(Term(3), True, True), 2, "0000000000000003 01 01 00"),
        (VoteRequest(Term(3), Term(2), Index(9), True), 3, "0000000000000003 0000000000000002 0000000000000009 01"),
        (VoteResponse(Term(3), False, False, True), 4, "0000000000000003 00 00 01"),
        (
            AppendResponse(Term(3), True, Index(9), 7, Index(5), Term(2)),
            6,
            "0000000000000003 01 0000000000000009 0000000000000007 0000000000000005 0000000000000002",
        ),
        (TimeoutNow(Term(3)), 7, "0000000000000003"),
        (ReadRequest(Term(3), 4), 8, "0000000000000003 0000000000000004"),
        (ReadResponse(Term(3), 4, Index(9)), 9, "0000000000000003 0000000000000004 0000000000000009"),
        (InstallRequest(Term(3), Index(9), Term(2)), 10, "0000000000000003 0000000000000009 0000000000000002"),
        (InstallResponse(Term(3), Index(9)), 11, "0000000000000003 0000000000000009"),
        (Removed(Term(3), Index(9)), 14, "0000000000000003 0000000000000009"),
    ],
)
def test_exact_bytes(message: Message, kind: int, expected: str) -> None:
    assert payload_of(message) == (kind, bytes.fromhex(expected))


def test_entries_travel_as_they_lie_on_the_disk() -> None:
    first = new_entry(Term(2), Index(10), EntryKind.NO_OP, 0, ())
    second = new_entry(Term(3), Index(11), EntryKind.COMMANDS, 5, [b"he", bytearray(b"llo")])
    kind, buffers = encode(AppendRequest(Term(3), Index(9), Term(2), Index(8), 7, [first, second]))
    assert kind == 5
    head = "0000000000000003 0000000000000009 0000000000000002 0000000000000008 0000000000000007 00000002 00 00000000"
    assert b"".join(buffers) == bytes.fromhex(head) + first.header + second.header + b"hello"


def test_small_bodies_share_a_buffer_and_large_ones_are_handed_on() -> None:
    large = [bytes(16 * 1024), b"!"]
    bodies: list[list[bytes]] = [[b"a"], [b"b"], large, [b"c"], large, large]
    entries = [
        new_entry(Term(3), Index(10 + place), EntryKind.COMMANDS, sum(map(len, body)), body)
        for place, body in enumerate(bodies)
    ]
    _, buffers = encode(AppendRequest(Term(3), Index(9), Term(2), Index(8), 7, entries))
    assert [len(buffer) for buffer in buffers] == [49, 27 + 27 + 26, 16384, 1, 27 + 26, 16384, 1, 26, 16384, 1]
    assert all(buffers[place] is large[0] for place in (2, 5, 8))
    found = decode(5, memoryview(b"".join(buffers)))
    assert isinstance(found, AppendRequest)
    assert [b"".join(entry.body) for entry in found.entries] == [b"".join(body) for body in bodies]


def test_entries_that_are_checked_travel_with_the_crc_of_all_their_bytes() -> None:
    run = joined_run([entry_at(10), entry_at(11)])
    kind, payload = payload_of(AppendRequest(Term(3), Index(9), Term(2), Index(8), 7, run))
    image = payload[HEAD_BYTES:]
    assert payload[HEAD_BYTES - 5 : HEAD_BYTES] == b"\1" + crc32c(image).to_bytes(4)
    found = decode(kind, payload)
    assert isinstance(found, AppendRequest)
    assert run_of(found.entries).crc_or_none == crc32c(image)
    for at in range(len(payload) - HEAD_BYTES):
        damaged = bytearray(payload)
        damaged[HEAD_BYTES + at] ^= 4
        with pytest.raises(BadMessageError, match="2 entries are damaged"):
            decode(kind, memoryview(damaged))


def test_bodies_are_slices_of_the_frame() -> None:
    entry = new_entry(Term(3), Index(10), EntryKind.COMMANDS, 5, [b"hello"])
    _, payload = payload_of(AppendRequest(Term(3), Index(9), Term(2), Index(8), 7, [entry]))
    decoded = decode(5, payload)
    assert isinstance(decoded, AppendRequest)
    (body,) = decoded.entries[0].body
    assert isinstance(body, memoryview)
    assert body.obj is payload.obj


@given(
    rows=st.lists(st.tuples(st.integers(0, 0xFFFF), numbers, numbers, numbers), min_size=1, max_size=70),
)
def test_heartbeats_of_many_groups_share_a_frame(rows: list[tuple[int, int, int, int]]) -> None:
    heartbeats = [HeartbeatRow(GroupId(row[0]), Term(row[1]), Index(row[2]), row[3]) for row in rows]
    found = decode_heartbeats(memoryview(encode_heartbeats(heartbeats)))
    assert found == heartbeats
    assert [row.message for row in found] == [Heartbeat(Term(row[1]), Index(row[2]), row[3]) for row in rows]
    responses = [HeartbeatResponseRow(GroupId(row[0]), Term(row[1]), row[3]) for row in rows]
    answered = decode_heartbeat_responses(memoryview(encode_heartbeat_responses(responses)))
    assert answered == responses
    assert [row.message for row in answered] == [HeartbeatResponse(Term(row[1]), row[3]) for row in rows]


def test_exact_bytes_of_heartbeats() -> None:
    rows = [HeartbeatRow(GroupId(1), Term(2), Index(3), 4), HeartbeatRow(GroupId(0xFFFF), Term(5), Index(6), 7)]
    expected = (
        "0001 0000000000000002 0000000000000003 0000000000000004ffff 0000000000000005 0000000000000006 0000000000000007"
    )
    assert encode_heartbeats(rows) == bytes.fromhex(expected)
    responses = [HeartbeatResponseRow(GroupId(1), Term(2), 4)]
    assert encode_heartbeat_responses(responses) == bytes.fromhex("0001 0000000000000002 0000000000000004")


@pytest.mark.parametrize("payload", [b"", b"x", bytes(25), bytes(27), b"\0\1" + b"\xff" * 24])
def test_bad_heartbeats_are_refused_before_the_first_row(payload: bytes) -> None:
    with pytest.raises(BadMessageError):
        decode_heartbeats(memoryview(payload))
    with pytest.raises(BadMessageError):
        decode_heartbeat_responses(memoryview(payload))


def append_bytes(entries: Sequence[Entry], *, count: int | None = None, term: int = 3, prev_term: int = 2) -> bytes:
    """An AppendRequest behind entry 9, with nothing checked."""
    head = struct.pack(">qqqqqIBI", term, 9, prev_term, 8, 7, len(entries) if count is None else count, 0, 0)
    return head + b"".join(entry.header + b"".join(entry.body) for entry in entries)


def entry_at(index: int, term: int = 3, body: bytes = b"body") -> Entry:
    return new_entry(Term(term), Index(index), EntryKind.COMMANDS, len(body), [body])


GOOD = append_bytes([entry_at(10), entry_at(11)])


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (GOOD[:20], "at least 49"),
        (GOOD[:-1], "4 bytes are left|where"),
        (GOOD + b"x", "1 bytes behind the last entry"),
        (GOOD[: HEAD_BYTES + HEADER_BYTES + 4 + 3], "2 entries announced"),
        (append_bytes([entry_at(10)], count=0xFFFFFFFF), "4294967295 entries announced"),
        (append_bytes([entry_at(11)]), "entry 11 where 10 is due"),
        (append_bytes([entry_at(10), entry_at(10)]), "entry 10 where 11 is due"),
        (append_bytes([entry_at(10, term=4)]), "term 4, not of 2..3"),
        (append_bytes([entry_at(10, term=1)]), "term 1, not of 2..3"),
        (append_bytes([entry_at(10, term=3), entry_at(11, term=2)]), "term 2, not of 3..3"),
        (append_bytes([], prev_term=4), "before that of its entries"),
        (append_bytes([], term=-1, prev_term=-2), "negative"),
        (GOOD[:-1] + b"Y", "entry 11 is damaged"),
        (GOOD[:HEAD_BYTES] + b"\0\0\0\1" + GOOD[HEAD_BYTES + 4 :], "an entry of 1 bytes"),
        (GOOD[:HEAD_BYTES] + b"\xff\xff\xff\xff" + GOOD[HEAD_BYTES + 4 :], "an entry of 4294967295 bytes"),
    ],
)
def test_bad_entries_are_refused(payload: bytes, reason: str) -> None:
    assert decode(5, memoryview(GOOD))
    with pytest.raises(BadMessageError, match=reason):
        decode(5, memoryview(payload))


@pytest.mark.parametrize(("kind", "version", "reason"), [(9, 1, "kind 9"), (1, 2, "version 2")])
def test_entries_of_another_time_are_refused(kind: int, version: int, reason: str) -> None:
    checked = struct.pack(">QQBB", 3, 10, kind, version)
    content = struct.pack(">II", len(checked), crc32c(checked)) + checked
    with pytest.raises(BadMessageError, match=reason):
        decode(5, memoryview(append_bytes([], count=1) + content))


@pytest.mark.parametrize("kind", [0, 12, 13, 15, 255])
def test_unknown_kinds_are_refused(kind: int) -> None:
    with pytest.raises(BadMessageError, match=f"kind {kind}"):
        decode(kind, memoryview(b""))


@pytest.mark.parametrize("kind", sorted(DECODERS))
def test_other_lengths_and_negative_numbers_are_refused(kind: int) -> None:
    for size in (0, 1, 7, 64, 1000):
        with pytest.raises(BadMessageError):
            decode(kind, memoryview(b"\xff" * size))


@given(message=messages, seed=st.integers(0, 1 << 32), count=st.integers(1, 8))
def test_damage_gives_a_message_or_a_clear_error(message: Message, seed: int, count: int) -> None:
    kind, payload = payload_of(message)
    content = bytearray(payload)
    rng = random.Random(seed)
    for _ in range(count):
        content[rng.randrange(len(content))] = rng.randrange(256)
    content = content[: rng.choice([len(content), rng.randrange(len(content) + 1)])]
    try:
        found = decode(kind, memoryview(content))
    except BadMessageError:
        return
    if isinstance(found, AppendRequest) and isinstance(message, AppendRequest):
        sent = {entry.index: joined_entry for entry, joined_entry in zip(message.entries, bodies(message), strict=True)}
        for entry, body in zip(found.entries, bodies(found), strict=True):
            assert sent[entry.index] == body, "the CRC lets no damaged entry through"


def bodies(message: AppendRequest) -> list[bytes]:
    return [b"".join(entry.body) for entry in message.entries]


@given(kind=st.integers(0, 255), payload=st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_clear_error(kind: int, payload: bytes) -> None:
    view = memoryview(payload)
    parsers: list[Callable[[], object]] = [
        lambda: decode(kind, view),
        lambda: decode_heartbeats(view),
        lambda: decode_heartbeat_responses(view),
    ]
    for parse in parsers:
        try:
            parse()
        except BadMessageError:
            continue
