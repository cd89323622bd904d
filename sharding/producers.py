"""Idempotent producers of one write split: which batch comes next, which was already written. Pure.

`Producers` exists twice per split: the committed table is replicated state, changed by executed appends alone;
`Admission` is the leader's view up to the last *appended* entry, laid over it. Both judge by the same rules:

- A producer that is not known may begin at any sequence (its state may have been forgotten).
- The same epoch must go on at the last sequence + 1; 2^31 - 1 is followed by 0.
- A higher epoch must begin at 0; a lower one is fenced.
- A batch equal in first and last sequence to one of the last 5 is a duplicate of it and gets its base offset.
  An older one that this epoch certainly wrote is a duplicate without an offset (DuplicateSequenceError).

The table keeps `PRODUCERS_MAX` producers; one more forgets the one whose last append is the oldest *in the log*. That
rule needs no clock, so all replicas forget the same. Source: KIP-98, KIP-360; Kafka's ProducerStateManager.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from .errors import DuplicateSequenceError, InvalidProducerEpochError, OutOfOrderSequenceError

BATCHES_KEPT = 5
PRODUCERS_MAX = 10_000
SEQUENCES = 1 << 31


class KeptBatch(NamedTuple):
    first_sequence: int
    last_sequence: int
    base_offset: int


class ProducerState(msgspec.Struct, array_like=True, frozen=True):
    """A producer in a checkpoint or in an `Open`; `written_count` is capped at 2^31."""

    producer_id: int
    epoch: int
    written_count: int
    batches: tuple[KeptBatch, ...]


class Sequenced(NamedTuple):
    """The producer part of one batch."""

    producer_id: int
    epoch: int
    first_sequence: int
    record_count: int


@dataclass(slots=True)
class Producer:
    """One producer; `batches` holds its last `BATCHES_KEPT`, oldest first, all of this epoch.

    `written_count` is how many sequences in a row, up to the last one, this epoch is known to have written.
    """

    epoch: int
    written_count: int = 0
    batches: list[KeptBatch] = field(default_factory=list[KeptBatch])

    def copy(self) -> "Producer":
        return Producer(self.epoch, self.written_count, self.batches.copy())

    def duplicate_or_none(self, batch: Sequenced) -> KeptBatch | None:
        """The remembered batch that `batch` repeats. Raises: the reason why it cannot be written."""
        if batch.epoch < self.epoch:
            raise InvalidProducerEpochError(
                f"producer {batch.producer_id} has epoch {batch.epoch}, the current one is {self.epoch}"
            )
        if batch.epoch > self.epoch:
            if batch.first_sequence != 0:
                raise OutOfOrderSequenceError(
                    f"producer {batch.producer_id} begins epoch {batch.epoch} at sequence {batch.first_sequence}, not 0"
                )
            return None
        if not self.batches:
            return None
        expected = (self.batches[-1].last_sequence + 1) % SEQUENCES
        if batch.first_sequence == expected:
            return None
        last_sequence = last_sequence_of(batch)
        for kept in reversed(self.batches):
            if kept.first_sequence == batch.first_sequence and kept.last_sequence == last_sequence:
                return kept
        behind_count = (expected - batch.first_sequence) % SEQUENCES
        if batch.record_count <= behind_count <= self.written_count:
            raise DuplicateSequenceError(
                f"producer {batch.producer_id}: sequence {batch.first_sequence} was written before the last "
                f"{len(self.batches)} batches"
            )
        raise OutOfOrderSequenceError(
            f"producer {batch.producer_id}: sequence {batch.first_sequence}, expected {expected}"
        )

    def add(self, batch: Sequenced, base_offset: int) -> None:
        if batch.epoch != self.epoch:
            self.epoch = batch.epoch
            self.written_count = 0
            self.batches.clear()
        self.written_count = min(self.written_count + batch.record_count, SEQUENCES)
        self.batches.append(KeptBatch(batch.first_sequence, last_sequence_of(batch), base_offset))
        if len(self.batches) > BATCHES_KEPT:
            del self.batches[0]


def last_sequence_of(batch: Sequenced) -> int:
    return (batch.first_sequence + batch.record_count - 1) % SEQUENCES


class Producers:
    """The committed table; the dict's order is the order of last appends, oldest first."""

    __slots__ = ("_count_max", "_table")

    def __init__(self, states: Sequence[ProducerState] = (), *, count_max: int = PRODUCERS_MAX) -> None:
        self._count_max = count_max
        self._table = {
            state.producer_id: Producer(state.epoch, state.written_count, [KeptBatch(*kept) for kept in state.batches])
            for state in states
        }

    def __len__(self) -> int:
        return len(self._table)

    def get_or_none(self, producer_id: int) -> Producer | None:
        return self._table.get(producer_id)

    def add(self, batch: Sequenced, base_offset: int) -> None:
        """Take over an appended batch; admission has judged it."""
        producer = self._table.pop(batch.producer_id, None) or Producer(batch.epoch)
        self._table[batch.producer_id] = producer
        producer.add(batch, base_offset)
        if len(self._table) > self._count_max:
            del self._table[next(iter(self._table))]

    def snapshot(self) -> list[ProducerState]:
        return [
            ProducerState(producer_id, producer.epoch, producer.written_count, tuple(producer.batches))
            for producer_id, producer in self._table.items()
        ]


class Admission:
    """What the leader has appended and not yet seen committed, laid over the committed table."""

    __slots__ = ("_committed", "_pending")

    def __init__(self, committed: Producers) -> None:
        self._committed = committed
        # producer id -> (its state with the pending batches, how many are pending)
        self._pending: dict[int, tuple[Producer, int]] = {}

    @property
    def is_settled(self) -> bool:
        """No producer has a pending batch."""
        return not self._pending

    def duplicate_or_none(self, batch: Sequenced) -> KeptBatch | None:
        """Raises: InvalidProducerEpochError, OutOfOrderSequenceError, DuplicateSequenceError."""
        if (found := self._pending.get(batch.producer_id)) is not None:
            return found[0].duplicate_or_none(batch)
        producer = self._committed.get_or_none(batch.producer_id)
        return None if producer is None else producer.duplicate_or_none(batch)

    def add(self, batch: Sequenced, base_offset: int) -> None:
        if (found := self._pending.get(batch.producer_id)) is not None:
            producer, count = found
        else:
            committed = self._committed.get_or_none(batch.producer_id)
            producer, count = (Producer(batch.epoch) if committed is None else committed.copy()), 0
        producer.add(batch, base_offset)
        self._pending[batch.producer_id] = producer, count + 1

    def settle(self, producer_id: int) -> None:
        """One pending batch of this producer is committed (and in the committed table)."""
        if (found := self._pending.get(producer_id)) is None:
            return
        producer, count = found
        if count == 1:
            del self._pending[producer_id]
        else:
            self._pending[producer_id] = producer, count - 1

    def clear(self) -> None:
        """Leadership ended: what is pending may never be committed."""
        self._pending.clear()
