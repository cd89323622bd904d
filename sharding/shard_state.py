"""The replicated state of one shard: the write splits of its partitions, and the sections of other parts. Pure.

Two replicas that applied the same entries have the same `snapshot()` bytes.

A *section* is a further part of the state (consumer groups, transactions) with its own commands: a class with a
`NAME` that never changes, `snapshot()` and `restore()`. An executor reaches it by its class:
`state.section(GroupSlots)`. The node gives each shard its sections when it is made (`sharding.machinery.new_sections`).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar

import msgspec

from .write_split import WriteSplit, WriteSplitState

if TYPE_CHECKING:
    from collections.abc import Callable

    from .commands.command import At
    from .commands.splits import Open

CHECKPOINT_VERSION = 1


class Section(Protocol):
    """A part of a shard's state that another module owns. Its executors alone change it."""

    NAME: ClassVar[str]

    def snapshot(self) -> bytes: ...
    def restore(self, state: bytes) -> None: ...


S = TypeVar("S", bound=Section)


class Chain:
    """The write splits of one partition on this shard, oldest first: numbers rise by 1, only the newest may be open.

    `watchers` are this node's own (see `Shard.watch`) and no part of the state.
    """

    __slots__ = ("is_dropped", "splits", "watchers")

    def __init__(self, splits: list[WriteSplit]) -> None:
        assert splits, "a chain has at least one split"
        self.splits = splits
        # The topic was deleted: whoever still has this chain must not serve it.
        self.is_dropped = False
        self.watchers: list[Callable[[], None]] = []

    @property
    def newest(self) -> WriteSplit:
        return self.splits[-1]

    def drop(self) -> None:
        """Whoever still has this chain gets no append into the log, where nothing would know what to do with it."""
        self.is_dropped = True
        for split in self.splits:
            split.is_admitting = False

    def split_of(self, offset: int) -> WriteSplit | None:
        """The split that holds `offset`; None below the oldest."""
        for split in reversed(self.splits):
            if offset >= split.first_offset:
                return split
        return None


class _Checkpoint(msgspec.Struct, array_like=True, frozen=True):
    version: int
    splits: list[WriteSplitState]
    sections: dict[str, bytes]


_checkpoint_encoder = msgspec.msgpack.Encoder()
_checkpoint_decoder = msgspec.msgpack.Decoder(_Checkpoint)


class ShardState:
    """`chains` by (topic id, partition). `changed` gathers the chains that the entry being applied has touched."""

    __slots__ = ("_sections", "chains", "changed")

    def __init__(self, sections: Iterable[Section] = ()) -> None:
        self.chains: dict[tuple[bytes, int], Chain] = {}
        self.changed: set[Chain] = set()
        self._sections: Mapping[type[Section], Section] = {type(section): section for section in sections}

    def section(self, kind: type[S]) -> S:
        found = self._sections[kind]
        assert isinstance(found, kind)
        return found

    def splits(self) -> Iterator[WriteSplit]:
        for chain in self.chains.values():
            yield from chain.splits

    def split_or_none(self, topic_id: bytes, partition: int, number: int) -> WriteSplit | None:
        chain = self.chains.get((topic_id, partition))
        if chain is None:
            return None
        return next((split for split in reversed(chain.splits) if split.number == number), None)

    def touch(self, topic_id: bytes, partition: int) -> None:
        """Those who watch this partition are told after the entry."""
        if (chain := self.chains.get((topic_id, partition))) is not None:
            self.changed.add(chain)

    def open(self, command: "Open", at: "At") -> bool:
        """Execute an `Open`."""
        key = command.topic_id, command.partition
        chain = self.chains.get(key)
        if chain is not None and chain.newest.number >= command.number:
            return False
        split = WriteSplit(command.topic_id, command.partition, command.number, command.state)
        split.open_term = at.term
        split.opened_ms = command.opened_ms
        if chain is None:
            self.chains[key] = chain = Chain([split])
        else:
            before = chain.newest
            assert before.is_closed, f"split {command.number} opens before {before.number} is closed"
            assert before.number + 1 == command.number, f"split {command.number} opens after {before.number}"
            assert before.committed_offset == split.first_offset, f"{split.first_offset} != {before.committed_offset}"
            split.last_append_ms = before.last_append_ms
            split.log_start = max(split.log_start, before.log_start)
            split.take_ticks(before)
            before.forget_producers()
            chain.splits.append(split)
        self.changed.add(chain)
        return True

    def drop(self, topic_id: bytes, partition: int) -> bool:
        """Execute a `Drop`; False if the partition is not here."""
        if (chain := self.chains.pop((topic_id, partition), None)) is None:
            return False
        chain.drop()
        self.changed.add(chain)
        return True

    def snapshot(self) -> bytes:
        splits = [split.snapshot() for split in self.splits()]
        sections = {section.NAME: section.snapshot() for section in self._sections.values()}
        return _checkpoint_encoder.encode(_Checkpoint(CHECKPOINT_VERSION, splits, sections))

    def restore(self, state: bytes) -> None:
        """Take over a snapshot in place of what was here."""
        checkpoint = _checkpoint_decoder.decode(state)
        assert checkpoint.version == CHECKPOINT_VERSION, f"checkpoint version {checkpoint.version} is not known"
        restored: dict[tuple[bytes, int], list[WriteSplit]] = {}
        for split_state in checkpoint.splits:
            split = WriteSplit.restored(split_state)
            restored.setdefault((split.topic_id, split.partition), []).append(split)
        before, self.chains = self.chains, {}
        for key, splits in restored.items():
            chain = before.pop(key, None)
            if chain is None:
                chain = Chain(splits)
            else:
                # Whoever watches the partition keeps its chain.
                chain.splits[:] = splits
            self.chains[key] = chain
        for chain in before.values():
            chain.drop()
        self.changed = {*self.chains.values(), *before.values()}
        by_name = {section.NAME: section for section in self._sections.values()}
        for name, section_state in checkpoint.sections.items():
            by_name[name].restore(section_state)
