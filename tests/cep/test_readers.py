"""Readers: a view is taken tick by tick, and a resume point loses nothing that is still needed."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cep.errors import SourceError
from cep.events import NEVER_MS
from cep.readers import Resume, TopicReader, ViewReader
from cep.records import Ends, Tick, tick_of
from cep.watermarks import GuessedWatermark


@dataclass
class Rec:
    offset: int
    timestamp: int
    partition: int = 0
    value: bytes | None = b"{}"
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def tick(n: int, watermark: int, end: int) -> Tick:
    return Tick(n, watermark, Ends(end, [end], 0))


def test_a_view_is_handed_out_up_to_the_last_tick_that_is_whole() -> None:
    reader = ViewReader(3, Resume({}, 0, NEVER_MS))
    reader.records([Rec(0, 5), Rec(1, 7), Rec(2, 9)])
    assert reader.arrived().events == ()
    reader.ticks([tick(1, 6, 1), tick(2, 8, 2), tick(3, 12, 5)])
    arrived = reader.arrived()
    assert [(e.timestamp_ms, e.stream, e.offset) for e in arrived.events] == [(5, 3, 0), (7, 3, 1)]
    assert arrived.watermark_ms == 8
    reader.records([Rec(3, 4, headers=[("timesplit.late", b"1")]), Rec(4, 12)])
    arrived = reader.arrived()
    assert [e.offset for e in arrived.events] == [2, 4]
    assert [e.offset for e in arrived.late] == [3]
    assert arrived.watermark_ms == 12


def test_a_missing_tick_is_an_error() -> None:
    reader = ViewReader(0, Resume({0: 10}, 4, 100))
    with pytest.raises(SourceError, match="tick 6 follows tick 4"):
        reader.ticks([tick(6, 200, 11)])
    with pytest.raises(SourceError, match="not a tick"):
        tick_of(b'{"n": 1}')


def test_a_view_resumes_after_the_last_tick_below_what_is_needed() -> None:
    reader = ViewReader(0, Resume({}, 0, NEVER_MS))
    reader.records([Rec(n, n * 10) for n in range(10)])
    reader.ticks([tick(n, n * 10 + 5, n + 1) for n in range(1, 9)])
    reader.arrived()
    assert reader.resume_at(NEVER_MS) == Resume({0: 0}, 0, NEVER_MS)
    assert reader.resume_at(36) == Resume({0: 4}, 3, 35)
    assert reader.resume_at(35) == Resume({0: 4}, 3, 35)  # what was let go does not come back
    assert reader.resume_at(1_000) == Resume({0: 9}, 8, 85)


def test_a_topic_resumes_before_every_event_that_is_needed() -> None:
    guess = GuessedWatermark([0, 1], lateness_ms=5, idle_ms=100, now_ms=0)
    reader = TopicReader(0, Resume({0: 0, 1: 0}, 0, NEVER_MS), guess)
    reader.records(0, [Rec(0, 10), Rec(1, 30)], 1, is_at_end=False)
    reader.records(0, [Rec(2, 26), Rec(3, 40)], 2, is_at_end=True)
    assert reader.arrived(3).watermark_ms == NEVER_MS  # partition 1 has said nothing yet
    reader.records(1, [Rec(0, 50, 1)], 4, is_at_end=True)
    assert reader.arrived(5).watermark_ms == 35
    assert reader.resume_at(25).offsets == {0: 0, 1: 0}
    assert reader.resume_at(31).offsets == {0: 2, 1: 0}


def test_an_idle_partition_holds_the_guess_only_until_it_is_idle() -> None:
    guess = GuessedWatermark([0, 1], lateness_ms=0, idle_ms=100, now_ms=0)
    guess.saw(0, 500, 10)
    guess.reached_end(1)
    assert guess.advance(99) == NEVER_MS
    assert guess.advance(100) == 500
    guess.reached_end(0)
    assert guess.advance(1_000) == 500
    guess.saw(1, 100, 1_001)
    assert guess.advance(1_002) == 500


def test_a_view_that_remembers_few_places_begins_earlier_and_loses_nothing() -> None:
    reader = ViewReader(0, Resume({}, 0, NEVER_MS), places_max=4)
    for n in range(50):
        reader.records([Rec(n, n * 10)])
        reader.ticks([tick(n + 1, n * 10 + 5, n + 1)])
        reader.arrived()
    resume = reader.resume_at(300)
    assert resume.offsets[0] <= 30
    assert resume.watermark_ms < 300
    assert resume.tick == resume.offsets[0]


def test_missing_ranks_are_an_error() -> None:
    reader = ViewReader(0, Resume({0: 10}, 4, 100))
    with pytest.raises(SourceError, match="ranks 12 to 12 follow rank 9"):
        reader.records([Rec(12, 200)])


def topic_reader(resume: Resume, *, places_max: int = 100) -> TopicReader:
    return TopicReader(
        0, resume, GuessedWatermark(resume.offsets, lateness_ms=5, idle_ms=100, now_ms=0), places_max=places_max
    )


@given(
    times=st.lists(st.integers(0, 60), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 9), min_size=60, max_size=60),
    needed_ms=st.integers(0, 70),
    places_max=st.integers(2, 5),
)
def test_late_is_the_same_for_every_chunk_size_and_after_every_resume(
    times: list[int], cuts: list[int], needed_ms: int, places_max: int
) -> None:
    records = [Rec(n, at_ms) for n, at_ms in enumerate(times)]

    def read(reader: TopicReader, first: int) -> set[int]:
        late: set[int] = set()
        for cut in cuts:
            chunk = records[first : first + cut]
            first += cut
            reader.records(0, chunk, 0, is_at_end=first >= len(records))
            late |= {event.offset for event in reader.arrived(0).late}
        return late

    wanted = {n for n, at_ms in enumerate(times) if n and at_ms <= max(times[:n]) - 5}
    reader = topic_reader(Resume({0: 0}), places_max=places_max)
    assert read(reader, 0) == wanted
    resume = reader.resume_at(needed_ms)
    first = resume.offsets[0]
    assert all(at_ms < needed_ms for at_ms in times[:first]), "an event that is needed would not come again"
    assert read(topic_reader(resume), first) == {n for n in wanted if n >= first}


def test_partitions_that_are_ahead_can_be_told_from_those_that_hold_the_watermark() -> None:
    guess = GuessedWatermark([0, 1, 2], lateness_ms=0, idle_ms=100, now_ms=0)
    guess.saw(0, 500, 1)
    guess.saw(1, 100, 1)
    guess.reached_end(2)
    assert guess.holding == {1, 2}
