"""`Append`: one record batch of one write split. The only command with payload, and the only one that is not msgpack.

    16s topic id | i32 partition | i64 split | i64 base offset | i32 leader epoch | i64 least timestamp |
    i64 greatest timestamp | the batch, stamped

Big-endian. `least_ms` is exact where the topic asked for it at admission (schema, view or reject); otherwise it is
the batch header's base timestamp, which is only a hint. The batch's place in the log is the command's place +
`APPEND_HEAD.size`.
"""

import struct
from typing import TYPE_CHECKING, ClassVar, Self

from store.batches import BatchHeader, read_header

from ..interfaces import Appended
from ..producers import Sequenced
from .command import COMMAND_HEAD, At, Buffer, UnknownCommandError

if TYPE_CHECKING:
    from ..shard_state import ShardState

APPEND_HEAD = struct.Struct(">16siqqiqq")
_WHOLE_HEAD = struct.Struct(">BBI16siqqiqq")
assert _WHOLE_HEAD.size == COMMAND_HEAD.size + APPEND_HEAD.size, "no padding between the two heads"


class Append:
    """A batch whose base offset and leader epoch are stamped; its buffer never changes again.

    `header` is the batch's header as admitted: of its fields, base offset and leader epoch may still be the client's;
    the command's own are the valid ones.
    """

    TYPE: ClassVar[int] = 1
    VERSION: ClassVar[int] = 1

    __slots__ = (
        "base_offset", "batch", "greatest_ms", "header", "leader_epoch", "least_ms", "partition", "split", "topic_id",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0917  (one per produced batch: positional is twice as fast as keywords)
        self,
        topic_id: bytes,
        partition: int,
        split: int,
        base_offset: int,
        leader_epoch: int,
        least_ms: int,
        greatest_ms: int,
        batch: Buffer,
        header: BatchHeader,
    ) -> None:
        self.topic_id = topic_id
        self.partition = partition
        self.split = split
        self.base_offset = base_offset
        self.leader_epoch = leader_epoch
        self.least_ms = least_ms
        self.greatest_ms = greatest_ms
        self.batch = batch
        self.header = header

    def __repr__(self) -> str:
        return f"Append({self.topic_id.hex()}-{self.partition}/{self.split} [{self.base_offset}, {self.end_offset}))"

    @property
    def end_offset(self) -> int:
        return self.base_offset + self.header.last_offset_delta + 1

    @property
    def sequenced_or_none(self) -> Sequenced | None:
        header = self.header
        if header.producer_id < 0:
            return None
        return Sequenced(header.producer_id, header.producer_epoch, header.base_sequence, header.record_count)

    @property
    def log_append_time_ms(self) -> int:
        """As a produce response carries it: -1 unless the topic stamps its records."""
        return self.header.max_timestamp_ms if self.header.is_log_append_time else -1

    def whole_head(self) -> bytes:
        """The command's head and fields in one piece; the batch follows it."""
        return _WHOLE_HEAD.pack(
            1, 1, APPEND_HEAD.size + len(self.batch),
            self.topic_id, self.partition, self.split, self.base_offset, self.leader_epoch,
            self.least_ms, self.greatest_ms,
        )  # fmt: skip

    def encode(self) -> tuple[Buffer, Buffer]:
        return self.whole_head()[COMMAND_HEAD.size :], self.batch

    @classmethod
    def decode(cls, version: int, data: memoryview) -> Self:
        if version > cls.VERSION:
            raise UnknownCommandError(f"Append version {version}, at most {cls.VERSION} is known")
        batch = data[APPEND_HEAD.size :]
        topic_id, partition, split, base, epoch, least, greatest = APPEND_HEAD.unpack_from(data)
        return cls(topic_id, partition, split, base, epoch, least, greatest, batch, read_header(batch))

    def on_append(self, state: "ShardState") -> None:
        state.chains[self.topic_id, self.partition].newest.admitted(self)

    def execute(self, state: "ShardState", at: At) -> Appended:
        chain = state.chains[self.topic_id, self.partition]
        chain.newest.commit(self, at.segment, at.position + APPEND_HEAD.size)
        state.changed.add(chain)
        return Appended(self.base_offset, self.log_append_time_ms, chain.newest.log_start)
