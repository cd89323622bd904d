"""When a tick is due and what it says: pure rules over committed facts and a given clock.

A tick comes about in three steps, each a function here: the *candidate* watermark from what the partitions hold, one
`FenceAnswer` per partition from its log (executor of `commands.ticks.Fence`), and the tick that all answers allow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from store.ticks import LatePolicy, Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class TickRule:
    """The settings of a topic that ticks depend on; `ahead_ms` None lets W pass the timekeeper's clock."""

    lateness_ms: int
    idle_ms: int
    ahead_ms: int | None
    policy: LatePolicy


@dataclass(frozen=True, slots=True)
class Activity:
    """One partition: greatest committed timestamp (None while it never had a record) and when it last appended.

    `appended_ms` is the timekeeper's clock at the last append it saw, or at the time it began to look.
    """

    greatest_ms: int | None
    appended_ms: int


@dataclass(frozen=True, slots=True)
class FenceAnswer:
    """What a fence found in its partition's log: `cut` = last stable offset at the fence's place.

    `hold_ms` = least timestamp above the last tick's watermark among the records in [cut, fence), None without such.
    """

    number: int
    watermark_ms: int
    cut: int
    hold_ms: int | None = None


def is_idle(activity: Activity, rule: TickRule, now_ms: int) -> bool:
    return now_ms - activity.appended_ms >= rule.idle_ms


def candidate_or_none(
    activities: Sequence[Activity], rule: TickRule, *, now_ms: int, is_seal: bool = False
) -> int | None:
    """The watermark that committed data and the clock allow; None while nothing can be said.

    The least over the partitions that are not idle of (greatest timestamp - lateness): an empty one among them holds
    everything. All idle, or a seal asked: the greatest timestamp of all.
    """
    greatest = [activity.greatest_ms for activity in activities if activity.greatest_ms is not None]
    if not greatest:
        return None
    busy = [activity for activity in activities if not is_idle(activity, rule, now_ms)]
    if is_seal or not busy:
        wanted = max(greatest)
    else:
        held = [activity.greatest_ms for activity in busy if activity.greatest_ms is not None]
        if len(held) < len(busy):
            return None
        wanted = min(held) - rule.lateness_ms
    return wanted if rule.ahead_ms is None else min(wanted, now_ms + rule.ahead_ms)


def tick_or_none(before: Tick, answers: Sequence[FenceAnswer], policy: LatePolicy) -> Tick | None:
    """The successor of `before` by one answer per partition, in partition order; None if W would not rise.

    The answers may come from several attempts at the same tick: each watermark was fenced in its own partition, so
    their least was fenced in all.
    """
    assert len(answers) >= len(before.cut), f"{len(answers)} answers for {len(before.cut)} partitions"
    assert all(answer.number == before.number + 1 for answer in answers), (
        f"answers to another tick than {before.number + 1}"
    )
    bounds = [answer.watermark_ms for answer in answers]
    bounds += [answer.hold_ms - 1 for answer in answers if answer.hold_ms is not None]
    watermark_ms = min(bounds)
    if watermark_ms <= before.watermark_ms:
        return None
    tick = Tick(before.number + 1, watermark_ms, tuple(answer.cut for answer in answers), policy)
    assert tick.is_successor_of(before), f"a cut fell: {before.cut} to {tick.cut}"
    return tick
