"""What a query reads, and how each kind of source is asked for it.

A `Reading` is fixed when the query begins: sources that share no event, and the last tick. An event is *settled* when
that tick or one before it has emitted it; all events of historic sources are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

import numpy as np

from . import aggregates
from .aggregates import Summary
from .blocks import Block, BoolArray, Column, Int32Array, Source
from .conditions import KEY, Conditions, type_of
from .events import TimeRange
from .merge import taken
from .queries import Complete
from .run_format import word_of
from .runs import ROW_NUMBER, RunFile
from .schema import AttributeType, Schema
from .ticks import Tick
from .time_index import OFFSET_MAX

# How many records are fetched at once where a live source must give the keys.
KEY_FETCH_EVENTS: Final = 1024
NUMPY_TYPES: Final[Mapping[AttributeType, type[np.generic]]] = {
    AttributeType.LONG: np.int64,
    AttributeType.DOUBLE: np.float64,
    AttributeType.STRING: np.int32,
    AttributeType.BOOLEAN: np.bool_,
    AttributeType.TIMESTAMP: np.int64,
}


@runtime_checkable
class PartitionScan(Protocol):
    """A source of one partition that finds the events of an offset range without reading all: `IndexSnapshot`."""

    @property
    def partition(self) -> int: ...

    def scan(
        self, span: TimeRange, first_offset: int, end_offset: int, attributes: Sequence[str] = ()
    ) -> Iterator[Block]: ...


@dataclass(slots=True)
class PlanCounts:
    """What a plan touched.

    `roots`: sources answered whole; `nodes`: row groups answered by their aggregates; `row_groups`: read from files;
    `live`: live sources asked; `blocks` and `events`: passed through a scan; `windows`: asked of nodes.
    """

    roots: int = 0
    nodes: int = 0
    row_groups: int = 0
    live: int = 0
    blocks: int = 0
    events: int = 0
    windows: int = 0

    def mapping(self) -> dict[str, int | str]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`tick` None: nothing is settled yet but history."""

    sources: Sequence[Source]
    schema: Schema | None = None
    tick: Tick | None = None
    counts: PlanCounts = field(default_factory=PlanCounts)

    def sources_in(self, span: TimeRange) -> list[Source]:
        return [source for source in self.sources if source.count and not common(source.span, span).is_empty]

    def wanted_span(self, span: TimeRange, complete: Complete) -> TimeRange:
        """The span without what the answer leaves out by time alone."""
        if complete is Complete.NOW:
            return span
        # History is settled even where the tick at hand is older or unknown.
        known = [source.span.end_ms for source in self.sources if source.is_historic and source.count]
        if self.tick is not None:
            known.append(self.tick.watermark_ms + 1)
        return TimeRange(first_ms=span.first_ms, end_ms=min(span.end_ms, max(known, default=span.first_ms)))

    def is_emitted(self, block: Block) -> BoolArray:
        """By the tick alone."""
        if self.tick is None:
            return np.zeros(len(block), np.bool_)
        cut = np.array(self.tick.cut, np.int64)
        inside = block.partitions < len(cut)
        cuts = np.zeros(len(block), np.int64)
        cuts[inside] = cut[block.partitions[inside]]
        return (block.offsets < cuts) & (block.timestamps <= self.tick.watermark_ms)

    def unsettled_below(self, source: Source, span: TimeRange) -> Iterator[Block]:
        """A live source's events at or below the watermark that no tick has emitted yet: late ones, usually none."""
        assert self.tick is not None, "without a tick nothing is settled"
        below = common(span, TimeRange(end_ms=self.tick.watermark_ms + 1))
        if below.is_empty:
            return
        if isinstance(source, PartitionScan):
            partition, cut = source.partition, self.tick.cut
            blocks = source.scan(below, cut[partition] if partition < len(cut) else 0, OFFSET_MAX)
        else:
            blocks = source.blocks(below, ())
        for block in blocks:
            if (is_open := ~self.is_emitted(block)).any():
                yield taken(block, is_open)

    def scan(
        self,
        source: Source,
        span: TimeRange,
        attributes: Sequence[str],
        conditions: Conditions,
        complete: Complete,
    ) -> Iterator[Block]:
        """The wanted events of one source in total order, never an empty block.

        Blocks have the columns `attributes` (`_key` among them as words; `_row` for runs, zeros elsewhere) and those
        that the conditions name.
        """
        names = list(dict.fromkeys([*attributes, *conditions.names]))
        self.counts.live += not source.is_historic
        for block in self._blocks(source, span, names, conditions):
            self.counts.blocks += 1
            self.counts.events += len(block)
            mask = conditions.matching(block) if conditions else None
            if complete is Complete.WATERMARK and not source.is_historic:
                settled = self.is_emitted(block)
                mask = settled if mask is None else mask & settled
            if mask is None or mask.all():
                yield block
            elif mask.any():
                yield taken(block, mask)

    def summary(self, source: Source, span: TimeRange, attributes: Sequence[str]) -> Summary:
        """Aggregates of one source from its nodes, counted."""
        if isinstance(source, RunFile):
            whole, cut = source.plan(span)
            if whole == source.group_count and not cut and covers(span, source.span):
                self.counts.roots += 1
            else:
                self.counts.nodes += whole
                self.counts.row_groups += cut
            found = source.summary(span, [name for name in attributes if source.has(name)])
            nothing = dict.fromkeys(attributes, aggregates.NOTHING)
            return Summary(found.count, {**nothing, **found.attributes})
        self.counts.live += not source.is_historic
        return source.summary(span, attributes)

    def _blocks(self, source: Source, span: TimeRange, names: Sequence[str], conditions: Conditions) -> Iterator[Block]:
        if isinstance(source, RunFile):
            own = {KEY, ROW_NUMBER}
            missing = [name for name in names if name not in own and not source.has(name)]
            stored = [name for name in names if name not in missing]
            for block in source.blocks(span, stored, conditions.may_match if conditions else None):
                self.counts.row_groups += 1
                yield self._with_nulls(block, missing) if missing else block
            return
        if self._is_ruled_out(source, span, conditions):
            return
        stored = [name for name in names if name not in {KEY, ROW_NUMBER}]
        for block in source.blocks(span, stored):
            columns = dict(block.columns)
            if KEY in names:
                columns[KEY] = _keys(source, block.partitions, block.offsets)
            if ROW_NUMBER in names:
                columns[ROW_NUMBER] = Column(np.zeros(len(block), np.int64))
            yield Block(block.timestamps, block.partitions, block.offsets, columns)

    def _with_nulls(self, block: Block, names: Sequence[str]) -> Block:
        """Attributes that the schema got after the run was written: null in all its events."""
        is_null = np.ones(len(block), np.bool_)
        columns = dict(block.columns)
        for name in names:
            kind = type_of(name, self.schema)
            zeros = np.zeros(len(block), NUMPY_TYPES[kind])
            columns[name] = Column(zeros, is_null, [] if kind is AttributeType.STRING else None)
        return Block(block.timestamps, block.partitions, block.offsets, columns)

    def _is_ruled_out(self, source: Source, span: TimeRange, conditions: Conditions) -> bool:
        known = () if self.schema is None else self.schema.aggregates
        names = [name for name in conditions.names if name in known]
        return bool(names) and not conditions.may_match(source.summary(span, names))


def covers(span: TimeRange, inner: TimeRange) -> bool:
    return span.first_ms <= inner.first_ms and inner.end_ms <= span.end_ms


def common(left: TimeRange, right: TimeRange) -> TimeRange:
    return TimeRange(first_ms=max(left.first_ms, right.first_ms), end_ms=min(left.end_ms, right.end_ms))


def data_span(sources: Sequence[Source]) -> TimeRange:
    """The least span over all events; empty without any."""
    spans = [source.span for source in sources if source.count]
    if not spans:
        return TimeRange(first_ms=0, end_ms=0)
    return TimeRange(first_ms=min(span.first_ms for span in spans), end_ms=max(span.end_ms for span in spans))


def count_in(sources: Sequence[Source], span: TimeRange) -> int:
    return sum(source.summary(span, ()).count for source in sources)


def _keys(source: Source, partitions: Int32Array, offsets: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Column:
    codes_of: dict[str, int] = {}
    codes = np.zeros(len(offsets), np.int32)
    is_null = np.zeros(len(offsets), np.bool_)
    for start in range(0, len(offsets), KEY_FETCH_EVENTS):
        at = slice(start, start + KEY_FETCH_EVENTS)
        for row, record in enumerate(source.records(partitions[at], offsets[at]), start):
            if record.key is None:
                is_null[row] = True
            else:
                codes[row] = codes_of.setdefault(word_of(record.key), len(codes_of))
    return Column(codes, is_null if is_null.any() else None, list(codes_of))
