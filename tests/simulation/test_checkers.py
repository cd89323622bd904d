"""Each checker accepts what is right and names what is wrong; the linearizability check agrees with brute force."""

from collections.abc import Callable
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis.strategies import composite, integers, lists, sampled_from

from tests.simulation.checkers import check, linearizable
from tests.simulation.history import Counted, History, Operation, Seen, Sent

PLACE = ("t", 0)


def sent(*values: bytes, at: float = 0.0, until: float = 1.0, offset: int | None = 0, producer: str = "p") -> Sent:
    return Sent(PLACE, producer, list(values), at, until, is_acked=offset is not None, offset=offset)


def seen(*records: tuple[int, bytes], watermark: int = 2, epoch: int = 0, at: float = 2.0, until: float = 3.0) -> Seen:
    return Seen(PLACE, 1, epoch, at, until, 0, watermark, records)


def good() -> History:
    history = History()
    history.sent += [sent(b"a"), sent(b"b", at=2.0, until=3.0, offset=1)]
    history.final[PLACE] = [(0, b"a"), (1, b"b")]
    history.epochs[PLACE] = {0: 0, 1: 0}
    history.seen.append(seen((0, b"a"), watermark=1))
    history.replicas.append((1, PLACE, [(0, b"a"), (1, b"b")]))
    history.views["t.__time", 0] = [(0, b"b"), (1, b"a")]
    history.registers["g"] = [Operation("write", 5, 0, 1, is_known=True), Operation("read", 5, 2, 3, is_known=True)]
    history.counted.append(Counted("t", 1, 1.5, 1.8, 1))
    return history


def test_nothing_is_wrong_with_a_right_history() -> None:
    assert check(good()) == []


def lost(history: History) -> None:
    del history.final[PLACE][1]


def duplicated(history: History) -> None:
    history.final[PLACE].append((2, b"a"))


def moved(history: History) -> None:
    history.sent[0].offset = 1


def gone(history: History) -> None:
    history.seen.append(seen((2, b"c")))


def gap(history: History) -> None:
    history.final[PLACE][1] = (2, b"b")


def phantom(history: History) -> None:
    history.final[PLACE].append((2, b"z"))


def phantom_seen(history: History) -> None:
    history.seen.append(seen((3, b"z")))


def reordered(history: History) -> None:
    history.final[PLACE] = [(0, b"b"), (1, b"a")]


def out_of_real_time(history: History) -> None:
    history.sent[0].offset, history.sent[1].offset = 1, 0


def watermark_fell(history: History) -> None:
    history.seen += [seen(watermark=2, epoch=1), seen(watermark=1, epoch=2)]


def watermark_fell_inside_an_epoch(history: History) -> None:
    history.seen += [seen(watermark=2, epoch=1), seen(watermark=1, epoch=1, at=4.0, until=5.0)]


def stale_fetch(history: History) -> None:
    history.seen.append(seen(watermark=1, at=4.0, until=5.0))


def epoch_fell(history: History) -> None:
    history.epochs[PLACE] = {0: 3, 1: 2}


def replica_differs(history: History) -> None:
    history.replicas.append((2, PLACE, [(0, b"a"), (1, b"x")]))


def view_lacks(history: History) -> None:
    del history.views["t.__time", 0][1]


def stale_register(history: History) -> None:
    history.registers["g"] += [Operation("write", 7, 1.2, 1.5, is_known=True)]


def stale_query(history: History) -> None:
    history.counted.append(Counted("t", 1, 1.5, 1.8, 0))


def early_query(history: History) -> None:
    history.counted.append(Counted("t", 1, 1.5, 1.8, 2))


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lost, "lost"), (duplicated, "duplicate"), (moved, "offset conflict"), (gone, "dirty read"), (gap, "gap"),
        (phantom, "phantom"), (phantom_seen, "phantom"), (reordered, "reordered"),
        (out_of_real_time, "out of real time"),
        (watermark_fell, "high watermark fell"), (watermark_fell_inside_an_epoch, "high watermark fell"),
        (stale_fetch, "stale fetch"), (epoch_fell, "leader epoch fell"), (replica_differs, "offset conflict"),
        (view_lacks, "view"), (stale_register, "register g"), (stale_query, "query"), (early_query, "query"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(spoil: Callable[[History], None], word: str) -> None:
    history = good()
    spoil(history)
    assert any(problem.startswith(word) for problem in check(history)), check(history)


@composite
def operations(draw) -> list[Operation]:
    found: list[Operation] = []
    write_count = draw(integers(1, 3))
    for value in range(1, write_count + 1):
        start = draw(integers(0, 12))
        is_known = draw(sampled_from([True, True, False]))
        found.append(Operation("write", value, start, start + draw(integers(1, 6)), is_known=is_known))
    for value in draw(lists(integers(0, write_count), max_size=3)):
        start = draw(integers(0, 12))
        found.append(Operation("read", value, start, start + draw(integers(1, 6)), is_known=True))
    return found


def by_brute_force(found: list[Operation]) -> bool:
    """Some order that respects real time explains all; a write of unknown outcome may be left out."""
    known = [one for one in found if one.is_known]
    unknown = [one for one in found if not one.is_known]
    for mask in range(1 << len(unknown)):
        chosen = known + [one for i, one in enumerate(unknown) if mask >> i & 1]
        for order in permutations(chosen):
            if _respects_time(order) and _explains(order):
                return True
    return False


def _respects_time(order: tuple[Operation, ...]) -> bool:
    return all(
        not (later.is_known and later.end_s < earlier.start_s)
        for i, earlier in enumerate(order)
        for later in order[i + 1 :]
    )


def _explains(order: tuple[Operation, ...]) -> bool:
    value = 0
    for one in order:
        if one.kind == "write":
            value = one.value
        elif one.value != value:
            return False
    return True


@given(found=operations())
def test_linearizability_by_zones_is_linearizability(found: list[Operation]) -> None:
    assert (linearizable(found) is None) == by_brute_force(found)
