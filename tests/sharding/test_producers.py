from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharding.errors import DuplicateSequenceError, InvalidProducerEpochError, OutOfOrderSequenceError
from sharding.producers import SEQUENCES, Admission, Producers, Sequenced


@dataclass
class Model:
    """A producer with unbounded sequences and an unbounded memory."""

    start: int
    next: int
    written: list[tuple[int, int, int]] = field(default_factory=list)  # (first, count, base offset)

    def outcome(self, first: int, count: int) -> int | str:
        """'accept', the base offset of a duplicate, or the name of the refusal."""
        if first == self.next:
            return "accept"
        for known_first, known_count, offset in self.written[-5:]:
            if (known_first, known_count) == (first, count):
                return offset
        if self.start <= first and first + count <= self.next:
            return "DuplicateSequenceError"
        return "OutOfOrderSequenceError"


def judge(admission: Admission, batch: Sequenced) -> int | str:
    try:
        found = admission.duplicate_or_none(batch)
    except (DuplicateSequenceError, OutOfOrderSequenceError, InvalidProducerEpochError) as error:
        return type(error).__name__
    return "accept" if found is None else found.base_offset


# Each step: (how far behind or ahead of the expected sequence, records, how many pending batches to commit first).
STEPS = st.lists(
    st.tuples(st.one_of(st.just(0), st.integers(-12, 3)), st.integers(1, 4), st.integers(0, 3)), max_size=40
)


@given(start=st.sampled_from([0, 7, SEQUENCES - 5, SEQUENCES - 1]), steps=STEPS)
def test_a_producer_is_judged_as_if_everything_ever_written_was_remembered(
    start: int, steps: list[tuple[int, int, int]]
) -> None:
    producers = Producers()
    admission = Admission(producers)
    model = Model(start, start)
    pending: deque[tuple[Sequenced, int]] = deque()
    offset = 100
    for distance, wanted_count, commits in [(0, 1, 0), *steps]:
        for _ in range(min(commits, len(pending))):
            batch, base_offset = pending.popleft()
            producers.add(batch, base_offset)
            admission.settle(batch.producer_id)
        first = model.next + distance
        again = next((known for known in model.written[-7:] if known[0] == first), None)
        count = wanted_count if again is None else again[1]
        batch = Sequenced(1, 0, first % SEQUENCES, count)
        expected = model.outcome(first, count)
        assert judge(admission, batch) == expected
        if expected == "accept":
            admission.add(batch, offset)
            pending.append((batch, offset))
            model.written.append((first, count, offset))
            model.next += count
            offset += count


@given(
    sends=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2), st.booleans()), max_size=60),
    data=st.data(),
)
def test_admission_with_a_lag_judges_as_the_committed_table_will(
    sends: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    lagging, current = Producers(), Producers()
    admission = Admission(lagging)
    pending: deque[tuple[Sequenced, int]] = deque()
    last: dict[int, Sequenced] = {}
    for offset, (producer_id, epoch, is_repeat) in enumerate(sends):
        before = last.get(producer_id)
        if is_repeat and before is not None:
            batch = before
        else:
            goes_on = before is not None and before.epoch == epoch
            first = (before.first_sequence + 1) if goes_on and before is not None else data.draw(st.integers(0, 1))
            batch = Sequenced(producer_id, epoch, first, 1)
        outcome = judge(admission, batch)
        assert outcome == judge(Admission(current), batch)
        if outcome == "accept":
            admission.add(batch, offset)
            current.add(batch, offset)
            pending.append((batch, offset))
            last[producer_id] = batch
        if pending and data.draw(st.booleans()):
            settled, base_offset = pending.popleft()
            lagging.add(settled, base_offset)
            admission.settle(settled.producer_id)
    while pending:
        settled, base_offset = pending.popleft()
        lagging.add(settled, base_offset)
        admission.settle(settled.producer_id)
    assert lagging.snapshot() == current.snapshot()


def test_an_older_epoch_is_fenced_and_a_newer_one_begins_at_0() -> None:
    producers = Producers()
    producers.add(Sequenced(1, 3, 10, 2), 0)
    admission = Admission(producers)
    with pytest.raises(InvalidProducerEpochError):
        admission.duplicate_or_none(Sequenced(1, 2, 12, 1))
    with pytest.raises(OutOfOrderSequenceError):
        admission.duplicate_or_none(Sequenced(1, 4, 12, 1))
    assert admission.duplicate_or_none(Sequenced(1, 4, 0, 1)) is None


def test_sequences_wrap_from_2_to_the_31_minus_1_to_0() -> None:
    producers = Producers()
    producers.add(Sequenced(1, 0, SEQUENCES - 1, 1), 5)
    admission = Admission(producers)
    assert admission.duplicate_or_none(Sequenced(1, 0, 0, 1)) is None
    found = admission.duplicate_or_none(Sequenced(1, 0, SEQUENCES - 1, 1))
    assert found is not None
    assert found.base_offset == 5


def test_the_producer_that_appended_longest_ago_is_forgotten_first() -> None:
    producers = Producers(count_max=2)
    for producer_id, sequence in [(1, 0), (2, 0), (1, 1), (3, 0)]:
        producers.add(Sequenced(producer_id, 0, sequence, 1), 0)
    assert [state.producer_id for state in producers.snapshot()] == [1, 3]


@given(adds=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2)), max_size=40))
def test_a_snapshot_gives_back_the_same_table(adds: list[tuple[int, int]]) -> None:
    producers = Producers(count_max=3)
    for offset, (producer_id, epoch) in enumerate(adds):
        producers.add(Sequenced(producer_id, epoch, offset, 1), offset)
    states = producers.snapshot()
    again = Producers(states, count_max=3)
    assert again.snapshot() == states
    for table in (producers, again):
        table.add(Sequenced(9, 0, 0, 1), 99)
    assert again.snapshot() == producers.snapshot()


def test_what_was_pending_at_a_step_down_was_never_written() -> None:
    admission = Admission(Producers())
    admission.add(Sequenced(1, 0, 0, 1), 0)
    admission.clear()
    assert admission.duplicate_or_none(Sequenced(1, 0, 0, 1)) is None
