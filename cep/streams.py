"""The words of an app: streams, groups, windows, aggregates, final results. Building checks the plan.

flights = cep.merge(app, "flights")
hourly = flights.group_by("origin").tumbling("1h").agg(cep.count(), cep.ohlc("dep_delay"))
hourly.final().to("departures-hourly")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .aggregates import Aggregate
from .durations import milliseconds
from .errors import NonFinalInputError, PlanError
from .windows import WindowPlan

if TYPE_CHECKING:
    from .outlets import BatchOutlet, RowOutlet
    from .shell import Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePlan:
    """Which topics become one stream. `is_committed`: watermarks are the broker's ticks; else guessed on this side."""

    topics: tuple[str, ...]
    is_committed: bool
    lateness_ms: int
    idle_ms: int


@dataclass(slots=True)
class EventStream:
    """Events of one or more topics in total event-time order, with watermarks."""

    plan: MergePlan
    runner: Runner
    _names: set[str] = field(default_factory=set[str])

    def group_by(self, *attributes: str) -> Grouped:
        if not attributes:
            raise PlanError("group_by() needs an attribute")
        return Grouped(self, attributes)

    def tumbling(self, size: str | int, *, origin: str | int = 0) -> Windowed:
        return Grouped(self, ()).tumbling(size, origin=origin)

    def batches(self, *, max_rows: int = 8_192) -> BatchOutlet:
        """A channel of `Batch`: the events in total order with their watermark, for an agent of this app.

        An item is committed once the agent has come back for the next one: after a crash it may come again, split
        otherwise. Late events stand in `late` of the batch that follows them, and may come again after any restart.
        """
        if max_rows < 1:
            raise PlanError(f"batches of {max_rows} events, must be at least 1")
        return self.runner.hand_batches(max_rows)

    def claim(self, name: str) -> None:
        """No other result of this stream may have this name: row ids are made from it. Raises: PlanError."""
        if name in self._names:
            raise PlanError(f"two results are named {name!r}")
        self._names.add(name)


@dataclass(frozen=True, slots=True)
class Grouped:
    stream: EventStream
    by: tuple[str, ...]

    def tumbling(self, size: str | int, *, origin: str | int = 0) -> Windowed:
        """Windows [k·size + origin, …) in event time, UTC."""
        return Windowed(self.stream, self.by, milliseconds(size), milliseconds(origin))


@dataclass(frozen=True, slots=True)
class Windowed:
    stream: EventStream
    by: tuple[str, ...]
    size_ms: int
    origin_ms: int

    def agg(self, *aggregates: Aggregate, name: str | None = None) -> Results:
        wanted = name or f"tumbling-{self.size_ms}-{'-'.join(self.by) or 'all'}"
        plan = WindowPlan(
            name=wanted, size_ms=self.size_ms, origin_ms=self.origin_ms, by=self.by, aggregates=tuple(aggregates)
        )
        self.stream.claim(wanted)
        return Results(self.stream, plan)


@dataclass(frozen=True, slots=True)
class Results:
    """Results that may still change: they can be finalised, but neither published nor decided upon."""

    stream: EventStream
    plan: WindowPlan

    def final(self) -> FinalResults:
        return FinalResults(self.stream, self.plan)

    def to(self, topic: str) -> None:
        """Raises: NonFinalInputError: publish `.final()` results."""
        raise NonFinalInputError(f"{self.plan.name} is not final: publish it with .final().to({topic!r})")


@dataclass(frozen=True, slots=True)
class FinalResults:
    """Results that never change: each row is given once its window is closed by the watermark."""

    stream: EventStream
    plan: WindowPlan

    def to(self, topic: str, *, exactly_once: bool = False) -> None:
        """Publish each row as JSON, key = the group, timestamp = the window's last millisecond.

        At least once: after a crash a row may be written again, with the same bytes and `timesplit.row` header.
        Raises: PlanError for exactly_once=True, which needs transactions of the broker.
        """
        if exactly_once:
            raise PlanError("exactly_once needs transactions, which are not built yet: rows carry deterministic ids")
        self.stream.runner.publish(self.plan, topic)

    def rows(self) -> RowOutlet:
        """A channel of `Row`, for an agent of this app; committed once the agent has come back for the next one."""
        return self.stream.runner.hand_rows(self.plan)


def check_topics(topics: Sequence[str]) -> tuple[str, ...]:
    if not topics:
        raise PlanError("merge() needs a topic")
    if len(set(topics)) != len(topics):
        raise PlanError(f"a topic is named twice: {list(topics)}")
    return tuple(topics)
