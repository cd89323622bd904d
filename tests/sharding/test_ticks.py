"""Properties of ticks against a brute-force model: a log per partition, ticks at random places."""

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis.strategies import DrawFn, booleans, composite, integers, lists, none, one_of, sampled_from, tuples

from sharding.ticks import Activity, FenceAnswer, TickRule, candidate_or_none, tick_or_none
from store.ticks import LatePolicy, Tick, no_tick

RULE = TickRule(lateness_ms=10, idle_ms=50, ahead_ms=None, policy=LatePolicy.ACCEPT)


@dataclass
class Partition:
    """A log of timestamps; transactions hold the records at the places in `undecided` until they are decided."""

    started_ms: int
    timestamps: list[int] = field(default_factory=list)
    undecided: set[int] = field(default_factory=set)
    appended_ms: int = 0

    def append(self, timestamp_ms: int, now_ms: int, *, is_undecided: bool) -> None:
        if is_undecided:
            self.undecided.add(len(self.timestamps))
        self.timestamps.append(timestamp_ms)
        self.appended_ms = now_ms

    @property
    def stable(self) -> int:
        return min(self.undecided, default=len(self.timestamps))

    def activity(self) -> Activity:
        return Activity(max(self.timestamps, default=None), self.appended_ms or self.started_ms)

    def fence(self, number: int, watermark_ms: int, after_ms: int) -> FenceAnswer:
        held = [ts for ts in self.timestamps[self.stable :] if ts > after_ms]
        return FenceAnswer(number, watermark_ms, self.stable, min(held, default=None))


@composite
def histories(draw: DrawFn) -> tuple[int, list[tuple]]:
    """(partition count, steps): ("append", p, ts, undecided, gap) | ("decide", p) | ("tick", seal, gap)."""
    count = draw(integers(1, 3))
    partition = integers(0, count - 1)
    step = one_of(
        tuples(sampled_from(["append"]), partition, integers(0, 200), booleans(), integers(0, 20)),
        tuples(sampled_from(["decide"]), partition),
        tuples(sampled_from(["tick"]), booleans(), integers(0, 80)),
    )
    return count, draw(lists(step, max_size=60))


def play(count: int, steps: list[tuple]) -> tuple[list[Partition], list[Tick], list[list[int]]]:
    """The partitions, every tick committed, and each partition's log length when its tick's cut was fenced."""
    partitions = [Partition(0) for _ in range(count)]
    ticks, lengths, now = [no_tick(count)], [[0] * count], 0
    for step in steps:
        if step[0] == "append":
            now += step[4]
            partitions[step[1]].append(step[2], now, is_undecided=step[3])
        elif step[0] == "decide":
            partitions[step[1]].undecided.clear()
        else:
            now += step[2]
            before = ticks[-1]
            wanted = candidate_or_none([p.activity() for p in partitions], RULE, now_ms=now, is_seal=step[1])
            if wanted is None or wanted <= before.watermark_ms:
                continue
            answers = [p.fence(before.number + 1, wanted, before.watermark_ms) for p in partitions]
            if (tick := tick_or_none(before, answers, RULE.policy)) is not None:
                ticks.append(tick)
                lengths.append([len(p.timestamps) for p in partitions])
    return partitions, ticks, lengths


@given(histories())
def test_every_tick_is_a_successor_of_the_one_before(history: tuple[int, list[tuple]]) -> None:
    _, ticks, _ = play(*history)
    assert all(then.is_successor_of(before) for before, then in pairwise(ticks))


@given(histories())
def test_no_event_known_at_a_fence_is_left_behind_its_watermark(history: tuple[int, list[tuple]]) -> None:
    """Late is only what came after the fence: no record before it, decided or not, becomes late by this very tick."""
    partitions, ticks, lengths = play(*history)
    for before, tick, length in zip(ticks, ticks[1:], lengths[1:], strict=False):
        for p, partition in enumerate(partitions):
            skipped = partition.timestamps[tick.cut[p] : length[p]]
            assert not [ts for ts in skipped if before.watermark_ms < ts <= tick.watermark_ms]


@given(histories())
def test_emitted_events_stay_emitted_and_each_is_emitted_once(history: tuple[int, list[tuple]]) -> None:
    partitions, ticks, _ = play(*history)
    events = [(p, o, ts) for p, part in enumerate(partitions) for o, ts in enumerate(part.timestamps)]
    for event in events:
        emitted = [tick.emits(*event) for tick in ticks]
        assert emitted == sorted(emitted)


@given(
    lists(tuples(one_of(none(), integers(-100, 1000)), integers(0, 200)), min_size=1, max_size=5),
    integers(0, 300),
    one_of(none(), integers(0, 500)),
    booleans(),
)
def test_candidate_equals_its_definition(pairs: list, now_ms: int, ahead_ms: int | None, is_seal: bool) -> None:
    rule = TickRule(lateness_ms=10, idle_ms=50, ahead_ms=ahead_ms, policy=LatePolicy.SIDE)
    found = candidate_or_none([Activity(*pair) for pair in pairs], rule, now_ms=now_ms, is_seal=is_seal)
    known = [ts for ts, _ in pairs if ts is not None]
    busy = [ts for ts, appended in pairs if now_ms - appended < 50]
    if not known:
        expected = None
    elif is_seal or not busy:
        expected = max(known)
    elif None in busy:
        expected = None
    else:
        expected = min(busy) - 10
    if expected is not None and ahead_ms is not None:
        expected = min(expected, now_ms + ahead_ms)
    assert found == expected


def test_an_empty_partition_holds_the_watermark_until_it_is_idle() -> None:
    activities = [Activity(100, 40), Activity(None, 0)]
    assert candidate_or_none(activities, RULE, now_ms=49) is None
    assert candidate_or_none(activities, RULE, now_ms=50) == 90


def test_a_hold_lowers_the_watermark_below_the_held_record() -> None:
    before = no_tick(2)
    answers = [FenceAnswer(1, 100, 3), FenceAnswer(1, 100, 5, 70)]
    assert tick_or_none(before, answers, LatePolicy.ACCEPT) == Tick(1, 69, (3, 5))


def test_a_hold_at_the_last_watermark_lets_no_tick_pass() -> None:
    before = Tick(1, 69, (3, 5))
    assert tick_or_none(before, [FenceAnswer(2, 100, 3), FenceAnswer(2, 100, 5, 70)], LatePolicy.ACCEPT) is None


def test_answers_of_two_attempts_give_the_lower_watermark() -> None:
    answers = [FenceAnswer(1, 100, 3), FenceAnswer(1, 150, 9)]
    assert tick_or_none(no_tick(2), answers, LatePolicy.REJECT) == Tick(1, 100, (3, 9), LatePolicy.REJECT)


def test_a_new_partition_joins_with_the_tick_that_lists_it() -> None:
    answers = [FenceAnswer(2, 100, 3), FenceAnswer(2, 100, 0)]
    assert tick_or_none(Tick(1, 50, (2,)), answers, LatePolicy.ACCEPT) == Tick(2, 100, (3, 0))
