"""Readers: a view is taken tick by tick, and a resume point loses nothing that is still needed."""

from dataclasses import dataclass, field

import pytest

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
