"""Random ticks with random events, and by brute force what each view shows of them."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import strategies as st

from store.emission import ViewKind
from store.ticks import LatePolicy, Tick, no_tick

Event = tuple[int, int, int]  # timestamp, partition, offset: sorts as events do


@st.composite
def emissions(draw: st.DrawFn) -> tuple[list[Tick], list[Event]]:
    """Ticks from tick 0 on, and events; a partition may join with a later tick."""
    count = draw(st.integers(1, 3))
    logs = draw(st.lists(st.lists(st.integers(-20, 60), max_size=30), min_size=count, max_size=count))
    ticks = [no_tick(draw(st.integers(1, count)))]
    for _ in range(draw(st.integers(0, 6))):
        before = ticks[-1]
        size = draw(st.integers(len(before.cut), count))
        lows = [*before.cut, *[0] * (size - len(before.cut))]
        cut = tuple(draw(st.integers(low, len(log))) for low, log in zip(lows, logs, strict=False))
        least = -25 if before.number == 0 else before.watermark_ms + 1
        ticks.append(
            Tick(before.number + 1, draw(st.integers(least, least + 20)), cut, draw(st.sampled_from(LatePolicy)))
        )
    return ticks, [(ts, p, o) for p, log in enumerate(logs) for o, ts in enumerate(log)]


def emits(tick: Tick, event: Event) -> bool:
    return event[1] < len(tick.cut) and tick.emits(event[1], event[2], event[0])


def emitted(ticks: Sequence[Tick], events: Sequence[Event]) -> list[tuple[Tick, bool, list[Event]]]:
    """Ground truth: (tick, is late, events in order), tick by tick, late before fresh."""
    found = []
    for before, tick in pairwise(ticks):
        new = sorted(event for event in events if emits(tick, event) and not emits(before, event))
        for is_late in (True, False):
            part = [event for event in new if (before.number > 0 and event[0] <= before.watermark_ms) == is_late]
            found.append((tick, is_late, part))
    return found


def view(ticks: Sequence[Tick], events: Sequence[Event], kind: ViewKind, partition: int) -> list[tuple[Event, bool]]:
    return [
        (event, is_late)
        for tick, is_late, part in emitted(ticks, events)
        for event in part
        if (kind is ViewKind.LATE and is_late)
        or (kind is not ViewKind.LATE and not (is_late and tick.policy is LatePolicy.SIDE))
        if kind is not ViewKind.KEYED or event[1] == partition
    ]
