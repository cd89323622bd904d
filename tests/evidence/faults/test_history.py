"""The checks themselves are checked: each planted fault is named, a clean history is not blamed."""

from collections.abc import Callable

import pytest

from .history import History, Origin, Stored, Where, problems, value_of


def at(offset: int, partition: int = 0) -> Where:
    return Where("t", partition, offset)


def clean() -> tuple[History, dict[str, list[Stored]]]:
    history = History()
    records: list[Stored] = []
    for sequence in range(6):
        value = value_of(1, sequence, 20)
        history.sent.add(value)
        if sequence != 3:  # its answer was lost
            history.acknowledged[value] = at(sequence)
        records.append(Stored(at(sequence), value))
    return history, {"a": records, "b": list(records)}


def test_a_clean_history_has_no_problems() -> None:
    assert problems(*clean()) == {}


def test_an_unacknowledged_record_may_be_missing() -> None:
    history, reads = clean()
    for records in reads.values():
        del records[3]
    assert problems(history, reads) == {}


def lose(reads: dict[str, list[Stored]]) -> None:
    for records in reads.values():
        del records[2]


def repeat(reads: dict[str, list[Stored]]) -> None:
    for records in reads.values():
        records.append(Stored(at(6), records[2].value))


def swap(reads: dict[str, list[Stored]]) -> None:
    for records in reads.values():
        records[1], records[2] = Stored(at(1), records[2].value), Stored(at(2), records[1].value)


def invent(reads: dict[str, list[Stored]]) -> None:
    for records in reads.values():
        records.append(Stored(at(6), value_of(9, 9, 20)))


def differ(reads: dict[str, list[Stored]]) -> None:
    reads["b"][3] = Stored(at(3), value_of(1, 4, 20))


def shorten(reads: dict[str, list[Stored]]) -> None:
    del reads["b"][5]


def read_again(reads: dict[str, list[Stored]]) -> None:
    reads["a"].append(reads["a"][0])


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (lose, "lost"),
        (repeat, "duplicate"),
        (swap, "offset_moved"),
        (swap, "reordered"),
        (invent, "phantom"),
        (differ, "offset_conflict"),
        (shorten, "diverge"),
        (read_again, "read_twice"),
    ],
)
def test_a_planted_fault_is_named(plant: Callable[[dict[str, list[Stored]]], None], kind: str) -> None:
    history, reads = clean()
    plant(reads)
    assert kind in problems(history, reads)


def test_a_run_without_acknowledgement_shows_nothing() -> None:
    assert problems(History(), {"a": []}).keys() == {"no_progress"}


def test_a_copy_under_another_epoch_is_the_clients_and_one_under_the_same_is_not() -> None:
    history, reads = clean()
    for records in reads.values():
        records.append(Stored(at(6), records[1].value))
    assert problems(history, reads, lambda where: Origin(1, where.offset // 6, 1)) == {}
    assert problems(history, reads, lambda _where: Origin(1, 0, 1)).keys() == {"duplicate"}


def test_what_was_acknowledged_without_a_place_must_be_there() -> None:
    history, reads = clean()
    history.unplaced.add(value_of(1, 9, 20))
    assert problems(history, reads).keys() == {"lost"}
