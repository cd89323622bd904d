"""What must hold of a history. Pure: values in, a list of sentences out; empty means that nothing is wrong."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from .history import Counted, History, Operation, Place, Seen, Sent


def check(history: History) -> list[str]:
    """All checkers, in a fixed order."""
    return [problem for checker in CHECKERS for problem in checker(history)]


def no_two_values_at_one_offset(history: History) -> Iterator[str]:
    """Over all reads of all replicas at all times, acknowledgements included."""
    known: dict[tuple[Place, int], bytes] = {}

    def meet(place: Place, offset: int, value: bytes, where: str) -> Iterator[str]:
        before = known.setdefault((place, offset), value)
        if before != value:
            yield f"offset conflict: {_name(place)} offset {offset} was {before!r}, and {value!r} {where}"

    for sent in history.sent:
        if sent.is_acked and sent.offset is not None:
            for i, value in enumerate(sent.values):
                yield from meet(sent.place, sent.offset + i, value, "by an acknowledgement")
    for seen in history.seen:
        for offset, value in seen.records:
            yield from meet(seen.place, offset, value, f"in a fetch from node {seen.node_id} at {seen.end_s:.3f} s")
    for place, records in [*history.final.items(), *history.views.items()]:
        for offset, value in records:
            yield from meet(place, offset, value, "in the final read")
    for node_id, place, records in history.replicas:
        for offset, value in records:
            yield from meet(place, offset, value, f"in the replica of node {node_id}")


def no_acknowledged_record_is_lost(history: History) -> Iterator[str]:
    """The final read, after all faults were healed, has them all."""
    for place, records in history.final.items():
        there = {value for _, value in records}
        for sent in history.sent:
            if sent.place == place and sent.is_acked:
                for value in sent.values:
                    if value not in there:
                        yield f"lost: {value!r} of {_name(place)}, acknowledged at {sent.end_s:.3f} s"


def no_read_record_is_gone(history: History) -> Iterator[str]:
    """What one fetch has shown stays (offsets are checked elsewhere)."""
    for place, records in [*history.final.items(), *history.views.items()]:
        end = records[-1][0] + 1 if records else 0
        most = max((seen.records[-1][0] for seen in history.seen if seen.place == place and seen.records), default=-1)
        if most >= end:
            yield f"dirty read: {_name(place)} showed offset {most}, the final read ends before {end}"


def offsets_have_no_gaps(history: History) -> Iterator[str]:
    for place, records in history.final.items():
        offsets = [offset for offset, _ in records]
        if offsets != list(range(len(offsets))):
            at = next(i for i, offset in enumerate(offsets) if offset != i)
            yield f"gap: record {at} of {_name(place)} has offset {offsets[at]}"


def each_value_stands_once(history: History) -> Iterator[str]:
    """Exactly once, of idempotent producers."""
    for place, records in history.final.items():
        first: dict[bytes, int] = {}
        for offset, value in records:
            if value in first:
                yield f"duplicate: {value!r} of {_name(place)} at offsets {first[value]} and {offset}"
            first.setdefault(value, offset)


def views_show_each_event_once(history: History) -> Iterator[str]:
    """After all is final, a view by event time has exactly what its topic has."""
    for place, records in history.views.items():
        topic = place[0].split(".__")[0]
        if place[0].endswith(".__ticks"):
            continue
        partitions = [place] if ".keyed" in place[0] else [one for one in history.final if one[0] == topic]
        wanted = sorted(value for one in partitions for _, value in history.final[topic, one[1]])
        shown = sorted(value for _, value in records)
        if shown != wanted and not (".keyed" in place[0] and set(shown) < set(wanted)):
            missing, more = set(wanted) - set(shown), set(shown) - set(wanted)
            yield (
                f"view {_name(place)}: {len(shown)} events of {len(wanted)}; lacks {sorted(missing)[:3]}, has "
                f"{sorted(more)[:3]}"
            )


def nothing_appears_that_nobody_sent(history: History) -> Iterator[str]:
    sent = {(one.place, value) for one in history.sent for value in one.values}
    for place, records in history.final.items():
        for offset, value in records:
            if (place, value) not in sent:
                yield f"phantom: {value!r} of {_name(place)} at offset {offset}"


def nothing_is_seen_that_nobody_sent(history: History) -> Iterator[str]:
    """Of places that are written to: a topic that is made again shows nothing of its earlier lives."""
    sent: dict[Place, set[bytes]] = defaultdict(set)
    for one in history.sent:
        sent[one.place].update(one.values)
    for seen in history.seen:
        if seen.place in sent:
            for offset, value in seen.records:
                if value not in sent[seen.place]:
                    yield f"phantom: {value!r} of {_name(seen.place)} at offset {offset}, fetched at {seen.end_s:.3f} s"


def each_producer_keeps_its_order(history: History) -> Iterator[str]:
    order = {
        (sent.place, value): (sent.producer, i, j)
        for i, sent in enumerate(history.sent)
        for j, value in enumerate(sent.values)
    }
    for place, records in history.final.items():
        last: dict[str, tuple[int, int]] = {}
        for offset, value in records:
            if (place, value) in order:
                producer, *at = order[place, value]
                if producer in last and last[producer] > tuple(at):
                    yield f"reordered: {value!r} of {_name(place)} at offset {offset} stands behind a later one"
                last[producer] = (at[0], at[1])


def acknowledgements_follow_real_time(history: History) -> Iterator[str]:
    """Log linearizability of produce: what was acknowledged before another batch was sent has the lower offset."""
    for place, batches in _by_place(history.sent):
        acked = sorted((one for one in batches if one.is_acked and one.offset is not None), key=lambda one: one.end_s)
        ends = [one.end_s for one in acked]
        highest: list[int] = []
        for one in acked:
            highest.append(max(one.offset or 0, highest[-1] if highest else -1))
        for one in acked:
            before = bisect_left(ends, one.start_s)
            if before and highest[before - 1] > (one.offset or 0):
                yield (
                    f"out of real time: {one.values[0]!r} of {_name(place)}, sent at {one.start_s:.3f} s, got offset "
                    f"{one.offset}; {highest[before - 1]} was acknowledged before that"
                )


def watermarks_never_fall(history: History) -> Iterator[str]:
    """By leader epoch: a leader starts with all that its predecessors committed, and never takes back."""
    for place, answers in _by_place(history.seen):
        by_epoch: dict[int, list[Seen]] = defaultdict(list)
        for seen in answers:
            if seen.epoch >= 0:
                by_epoch[seen.epoch].append(seen)
        most = 0
        for epoch in sorted(by_epoch):
            for seen in by_epoch[epoch]:
                if seen.high_watermark < most:
                    yield (
                        f"high watermark fell: {_name(place)} at {seen.high_watermark} in epoch {epoch} on node "
                        f"{seen.node_id}, {most} in an earlier epoch"
                    )
            # Inside an epoch, in real time.
            ordered = sorted(by_epoch[epoch], key=lambda seen: seen.end_s)
            highest, ends = [], []
            for seen in ordered:
                highest.append(max(seen.high_watermark, highest[-1] if highest else 0))
                ends.append(seen.end_s)
            for seen in ordered:
                before = bisect_left(ends, seen.start_s)
                if before and seen.high_watermark < highest[before - 1]:
                    yield f"high watermark fell: {_name(place)} from {highest[before - 1]} to {seen.high_watermark}"
            most = max([most, *highest])


def watermarks_cover_acknowledgements(history: History) -> Iterator[str]:
    """Log linearizability of fetch: who answers in epoch e shows what was acknowledged before, if it is of e or older.

    (A leader that was deposed without knowing shows less than its successor, as in Kafka; a client sees that by the
    epoch.)
    """
    for place, answers in _by_place(history.seen):
        epochs = history.epochs.get(place, {})
        acked = [
            (one.end_s, one.offset + len(one.values), epochs[one.offset])
            for one in history.sent
            if one.place == place and one.is_acked and one.offset is not None and one.offset in epochs
        ]
        for seen in answers:
            for acked_s, end, epoch in acked:
                if acked_s < seen.start_s and epoch <= seen.epoch and seen.high_watermark < end:
                    yield (
                        f"stale fetch: {_name(place)} at watermark {seen.high_watermark} in epoch {seen.epoch} at "
                        f"{seen.start_s:.3f} s, {end} was acknowledged at {acked_s:.3f} s in epoch {epoch}"
                    )


def leader_epochs_never_fall(history: History) -> Iterator[str]:
    """Along a partition: each batch carries the epoch of the leader that admitted it."""
    for place, epochs in history.epochs.items():
        for (_, before), (offset, after) in pairwise(sorted(epochs.items())):
            if after < before:
                yield f"leader epoch fell: {_name(place)} from {before} to {after} at offset {offset}"


def registers_are_linearizable(history: History) -> Iterator[str]:
    for name, operations in history.registers.items():
        if (problem := linearizable(operations)) is not None:
            yield f"register {name}: {problem}"


def queries_see_what_was_acknowledged(history: History) -> Iterator[str]:
    """A linearizable query counts all that was acknowledged before it began, and nothing that was not yet sent."""
    for one in history.counted:
        least, most = _bounds(history, one)
        if not least <= one.count <= most:
            yield (
                f"query: {one.count} events of {one.topic} on node {one.node_id} at {one.start_s:.3f} s; {least} were "
                f"acknowledged before, {most} sent until its end"
            )


def _bounds(history: History, one: Counted) -> tuple[int, int]:
    sent = [batch for batch in history.sent if batch.place[0] == one.topic]
    least = sum(len(batch.values) for batch in sent if batch.is_acked and batch.end_s < one.start_s)
    most = sum(len(batch.values) for batch in sent if batch.start_s <= one.end_s)
    return least, most


CHECKERS: Sequence[Callable[[History], Iterable[str]]] = (
    no_two_values_at_one_offset,
    no_acknowledged_record_is_lost,
    no_read_record_is_gone,
    offsets_have_no_gaps,
    each_value_stands_once,
    nothing_appears_that_nobody_sent,
    nothing_is_seen_that_nobody_sent,
    views_show_each_event_once,
    each_producer_keeps_its_order,
    acknowledgements_follow_real_time,
    watermarks_never_fall,
    watermarks_cover_acknowledgements,
    leader_epochs_never_fall,
    registers_are_linearizable,
    queries_see_what_was_acknowledged,
)


def linearizable(operations: Sequence[Operation]) -> str | None:
    """A register whose written values are unique and not 0, which it holds first. Gibbons & Korach: by zones.

    The operations on one value form its zone, from the first end to the last start. A forward zone (first end before
    last start) must overlap no other one, and no backward zone may lie inside it. O(n log n).
    """
    writes = {one.value: one for one in operations if one.kind == "write"}
    zones: dict[int, list[float]] = {0: [float("-inf"), float("-inf")]}
    for one in operations:
        if one.kind == "read" and not one.is_known:
            continue
        if one.kind == "read" and one.value and (write := writes.get(one.value)) is None:
            return f"{one.value} was read, and never written"
        if one.kind == "read" and one.value and one.end_s < write.start_s:
            return f"{one.value} was read before its write began"
        end_s = one.end_s if one.is_known else float("inf")
        zone = zones.setdefault(one.value, [float("inf"), float("-inf")])
        zone[0], zone[1] = min(zone[0], end_s), max(zone[1], one.start_s)
    forward = sorted(
        (first_end, last_start, value) for value, (first_end, last_start) in zones.items() if first_end < last_start
    )
    for (_, ends_s, value), (starts_s, _, other) in pairwise(forward):
        if starts_s < ends_s:
            return f"{value} and {other} were both current at {starts_s:.3f} s"
    starts = [one[0] for one in forward]
    for value, (first_end, last_start) in zones.items():
        if first_end >= last_start:
            at = bisect_left(starts, last_start) - 1
            if at >= 0 and forward[at][0] < last_start and first_end < forward[at][1] and forward[at][2] != value:
                return f"{value} was current inside the time of {forward[at][2]}"
    return None


def _by_place(items: Sequence[Sent] | Sequence[Seen]) -> Iterator[tuple[Place, list]]:
    found: dict[Place, list] = {}
    for item in items:
        found.setdefault(item.place, []).append(item)
    yield from found.items()


def _name(place: Place) -> str:
    return f"{place[0]}-{place[1]}"
