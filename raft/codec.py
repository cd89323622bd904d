"""The bytes of `messages` between nodes, big-endian, all numbers 63 bits or fewer. Pure.

A frame of class raft says its group and its kind (`peers`); what follows is the payload, by kind:

    1 PreVoteRequest    q term, q last term, q last index
    2 PreVoteResponse   q term, u8 granted, u8 doubtful, u8 damaged
    3 VoteRequest       q term, q last term, q last index, u8 transfer
    4 VoteResponse      q term, u8 granted, u8 doubtful, u8 damaged
    5 AppendRequest     q term, q prev index, q prev term, q committed, q round, u32 count, u8 has crc, u32 crc, then
                        the entries as they lie on the disk: header (`entries`, with its own CRC) and body, one behind
                        the other. The crc is that of all their bytes, which are checked by it alone; if there is
                        none, it is 0, and each entry is checked by its own
    6 AppendResponse    q term, u8 rejected, q index, q round, q hint index, q hint term
    7 TimeoutNow        q term
    8 ReadRequest       q term, q context
    9 ReadResponse      q term, q context, q index
    10 InstallRequest   q term, q index, q index term
    11 InstallResponse  q term, q index
    12 Heartbeat        of many groups: rows of u16 group, q term, q committed, q round
    13 HeartbeatResponse  of many groups: rows of u16 group, q term, q round
    14 Removed          q term, q index
    15 Heartbeat        as 12, of groups that rest (`resting`); answered by 13

Kinds 12, 13 and 15 name their groups in the rows; the group of their frame is 0 and says nothing.
"""

import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from operator import attrgetter
from typing import NamedTuple

from crc32c import crc32c

from .entries import COMMANDS, COPIED_BYTES_MAX, ENTRY_VERSION, HEADER_BYTES, KINDS, LENGTH_MIN, PREFIX_BYTES, Entry
from .entry_runs import Bare, EntryRun, Head, ImageRun, head_at, image_crc
from .errors import BadMessageError
from .interfaces import Buffer, GroupId, Index, Term
from .messages import (
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


class MessageKind(IntEnum):
    PRE_VOTE_REQUEST = 1
    PRE_VOTE_RESPONSE = 2
    VOTE_REQUEST = 3
    VOTE_RESPONSE = 4
    APPEND_REQUEST = 5
    APPEND_RESPONSE = 6
    TIMEOUT_NOW = 7
    READ_REQUEST = 8
    READ_RESPONSE = 9
    INSTALL_REQUEST = 10
    INSTALL_RESPONSE = 11
    HEARTBEATS = 12
    HEARTBEAT_RESPONSES = 13
    REMOVED = 14
    HEARTBEATS_AT_REST = 15


BEATS = frozenset({MessageKind.HEARTBEATS, MessageKind.HEARTBEAT_RESPONSES, MessageKind.HEARTBEATS_AT_REST})
"""What comes in rows of many groups, not by `decode`."""

APPEND = struct.Struct(">qqqqqI?I")
HEARTBEAT = struct.Struct(">Hqqq")
HEARTBEAT_RESPONSE = struct.Struct(">Hqq")


class HeartbeatRow(NamedTuple):
    """A `Heartbeat` of one group among those of others."""

    group_id: GroupId
    term: Term
    committed: Index
    round: int

    @property
    def message(self) -> Heartbeat:
        return Heartbeat(self.term, self.committed, self.round)


class HeartbeatResponseRow(NamedTuple):
    group_id: GroupId
    term: Term
    round: int

    @property
    def message(self) -> HeartbeatResponse:
        return HeartbeatResponse(self.term, self.round)


def encode(message: Message) -> tuple[MessageKind, Sequence[Buffer]]:
    """Kind and payload of a message of one group; bodies are handed on as they are. Heartbeats go by `encode_rows`."""
    return ENCODERS[type(message)](message)


def decode(kind: int, payload: memoryview) -> Message:
    """The message; bodies of its entries are slices of `payload`. Raises: BadMessageError."""
    decoder = DECODERS.get(kind)
    if decoder is None:
        raise BadMessageError(f"a message of unknown kind {kind}")
    return decoder(payload)


def encode_heartbeats(rows: Sequence[HeartbeatRow]) -> bytes:
    return b"".join([HEARTBEAT.pack(*row) for row in rows])


def decode_heartbeats(payload: memoryview) -> list[HeartbeatRow]:
    """Raises: BadMessageError."""
    return [HeartbeatRow._make(row) for row in _rows(HEARTBEAT, payload)]


def encode_heartbeat_responses(rows: Sequence[HeartbeatResponseRow]) -> bytes:
    return b"".join([HEARTBEAT_RESPONSE.pack(*row) for row in rows])


def decode_heartbeat_responses(payload: memoryview) -> list[HeartbeatResponseRow]:
    """Raises: BadMessageError."""
    return [HeartbeatResponseRow._make(row) for row in _rows(HEARTBEAT_RESPONSE, payload)]


def _rows(row: struct.Struct, payload: memoryview) -> list[tuple[int, ...]]:
    if not payload or len(payload) % row.size:
        raise BadMessageError(f"{len(payload)} bytes of heartbeats, not of {row.size} each")
    rows = list(row.iter_unpack(payload))
    if min(map(min, rows)) < 0:
        raise BadMessageError("a heartbeat with a negative number")
    return rows


def _encode_append(message: AppendRequest) -> tuple[MessageKind, Sequence[Buffer]]:
    entries = message.entries
    run = entries if isinstance(entries, EntryRun) else None
    crc = None if run is None else run.crc_or_none
    head = APPEND.pack(
        message.term,
        message.prev_index,
        message.prev_term,
        message.committed,
        message.round,
        len(entries),
        crc is not None,
        crc or 0,
    )
    buffers: list[Buffer] = [head]
    if run is not None and run.images:
        buffers += run.images
        return MessageKind.APPEND_REQUEST, buffers
    small: list[Buffer] = []
    for entry in entries:
        if entry.size <= COPIED_BYTES_MAX:
            small.append(entry.header)
            small += entry.body
        else:
            buffers += (b"".join((*small, entry.header)), *entry.body)
            small.clear()
    if small:
        buffers.append(b"".join(small))
    return MessageKind.APPEND_REQUEST, buffers


def _decode_append(payload: memoryview) -> AppendRequest:
    if len(payload) < APPEND.size:
        raise BadMessageError(f"an AppendRequest of {len(payload)} bytes, at least {APPEND.size}")
    term, prev_index, prev_term, committed, round_, count, has_crc, crc = APPEND.unpack_from(payload)
    if min(term, prev_index, prev_term, committed, round_) < 0 or prev_term > term:
        raise BadMessageError("an AppendRequest with a negative number, or of a term before that of its entries")
    image = payload[APPEND.size :]
    if count * HEADER_BYTES > len(image):
        raise BadMessageError(f"{count} entries announced in {len(image)} bytes")
    if has_crc and image_crc(image) != crc:
        raise BadMessageError(f"{count} entries are damaged")
    after = Term(prev_term), Index(prev_index)
    entries = _decode_entries(image, count, after, term, crc_or_none=crc if has_crc else None)
    return AppendRequest(Term(term), Index(prev_index), Term(prev_term), Index(committed), round_, entries)


def _decode_entries(
    image: memoryview, count: int, last: tuple[Term, Index], term_max: int, *, crc_or_none: int | None
) -> Sequence[Entry]:
    """The hottest loop of a follower: everything that is checked of an entry is checked here, once, inline."""
    bare: list[Bare] = []
    last_term, last_index = last
    header_bytes, prefix_bytes, length_min = HEADER_BYTES, PREFIX_BYTES, LENGTH_MIN
    read_head, commands, version_due, total = head_at, int(COMMANDS), ENTRY_VERSION, len(image)
    position, has_commands_only = 0, True
    for due in range(last_index + 1, last_index + 1 + count):
        if position + header_bytes > total:
            raise BadMessageError("ends inside the header of an entry")
        length, crc, term, index, kind, version = read_head(image, position)
        checked, first = position + prefix_bytes, position + header_bytes
        position = checked + length
        if length < length_min or position > total:
            raise BadMessageError(f"an entry of {length} bytes where {total - checked} are left")
        if crc_or_none is None and crc32c(image[checked:position]) != crc:
            raise BadMessageError(f"entry {index} is damaged")
        if kind != commands or index != due or term != last_term or version != version_due:
            _check_unlike_the_last((length, crc, term, index, kind, version), due, last_term, term_max)
            last_term = term
            has_commands_only = has_commands_only and kind == commands
        bare.append((term, index, kind, position - first, (image[first:position],) if position > first else ()))
    if position != total:
        raise BadMessageError(f"{total - position} bytes behind the last entry")
    return ImageRun(bare, image, crc_or_none, has_commands_only=has_commands_only) if bare else ()


def _check_unlike_the_last(head: Head, due: int, last_term: int, term_max: int) -> None:
    """An entry of a newer term, or no command: that may be. Raises: BadMessageError."""
    _, _, term, index, kind, version = head
    if kind >= len(KINDS):
        raise BadMessageError(f"entry {index} of kind {kind}")
    if version != ENTRY_VERSION:
        raise BadMessageError(f"entry {index} of version {version}")
    if index != due:
        raise BadMessageError(f"entry {index} where {due} is due")
    if not last_term <= term <= term_max:
        raise BadMessageError(f"an entry of term {term}, not of {last_term}..{term_max}")


class _Fixed(NamedTuple):
    """A message whose payload is one struct of its fields, in their order."""

    kind: MessageKind
    layout: struct.Struct
    type: type[Message]
    values: Callable[[Message], tuple[int, ...]]

    def encode(self, message: Message) -> tuple[MessageKind, Sequence[Buffer]]:
        return self.kind, (self.layout.pack(*self.values(message)),)

    def decode(self, payload: memoryview) -> Message:
        if len(payload) != self.layout.size:
            raise BadMessageError(f"{self.type.__name__} of {len(payload)} bytes, not {self.layout.size}")
        numbers = self.layout.unpack(payload)
        if min(numbers) < 0:
            raise BadMessageError(f"{self.type.__name__} with a negative number")
        return self.type(*numbers)


def _fixed(kind: MessageKind, layout: str, message_type: type[Message]) -> _Fixed:
    with_term = attrgetter("term", *message_type.__struct_fields__)  # a getter of one name alone gives no tuple

    def values(message: Message) -> tuple[int, ...]:
        return with_term(message)[1:]

    return _Fixed(kind, struct.Struct(layout), message_type, values)


FIXED = (
    _fixed(MessageKind.PRE_VOTE_REQUEST, ">qqq", PreVoteRequest),
    _fixed(MessageKind.PRE_VOTE_RESPONSE, ">q???", PreVoteResponse),
    _fixed(MessageKind.VOTE_REQUEST, ">qqq?", VoteRequest),
    _fixed(MessageKind.VOTE_RESPONSE, ">q???", VoteResponse),
    _fixed(MessageKind.APPEND_RESPONSE, ">q?qqqq", AppendResponse),
    _fixed(MessageKind.TIMEOUT_NOW, ">q", TimeoutNow),
    _fixed(MessageKind.READ_REQUEST, ">qq", ReadRequest),
    _fixed(MessageKind.READ_RESPONSE, ">qqq", ReadResponse),
    _fixed(MessageKind.INSTALL_REQUEST, ">qqq", InstallRequest),
    _fixed(MessageKind.INSTALL_RESPONSE, ">qq", InstallResponse),
    _fixed(MessageKind.REMOVED, ">qq", Removed),
)
ENCODERS: dict[type[Message], Callable[..., tuple[MessageKind, Sequence[Buffer]]]] = {
    AppendRequest: _encode_append,
    **{fixed.type: fixed.encode for fixed in FIXED},
}
DECODERS: dict[int, Callable[[memoryview], Message]] = {
    MessageKind.APPEND_REQUEST: _decode_append,
    **{fixed.kind: fixed.decode for fixed in FIXED},
}
