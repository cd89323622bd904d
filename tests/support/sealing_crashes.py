"""kill -9 at random moments of sealing: what a restart must make of it."""

import contextlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import psutil

from tests.support.disorder import Disorder
from tests.support.served import ServedNode
from tests.support.time_questions import Asker, append, matches_as_json, seal
from tests.support.waiting import wait_until

ORPHAN_DEADLINE_S = 10.0


@dataclass
class Killed:
    """When the kills came: what a restart found the split in, and how many merges were under way."""

    states: list[str] = field(default_factory=list[str])
    merge_count: int = 0
    worst_ready_s: float = 0.0


def kill_while_sealing(
    node: ServedNode, topic: str, stream: Disorder, kills: int, *, events: int, within_s: float
) -> Killed:
    """Per kill: append, ask for a seal, kill at a random moment within `within_s`, restart, check everything."""
    killed = Killed()
    asker = Asker(node, topic)
    for number in range(kills):
        append(node, topic, stream, events)
        historic = sum(split["state"] == "historic" for split in asker.splits())
        delay_s = stream.random.random() * within_s
        with ThreadPoolExecutor(1) as threads:
            threads.submit(_ask_to_seal, node, topic)
            time.sleep(delay_s)
            workers = psutil.Process(node.pid).children(recursive=True)
            killed.merge_count += bool(workers)
            node.kill()
        asker.close()
        # One that outlived the node would write into the files of the next.
        wait_until(
            lambda workers=workers: all(map(_has_ended, workers)), deadline_s=ORPHAN_DEADLINE_S, what="no orphan"
        )
        node.start()
        killed.worst_ready_s = max(killed.worst_ready_s, node.ready_s)
        asker = Asker(node, topic)
        splits = asker.splits()
        states = [split["state"] for split in splits]
        sealed = states.count("historic") > historic
        killed.states.append("sealing" if "sealing" in states else "historic" if sealed else "open")
        where = f"kill {number} of seed {stream.seed}, after {delay_s:.3f} s"
        check_every_event_once(asker, stream, where)
        wait_until(
            lambda asker=asker: all(split["state"] != "sealing" for split in asker.splits()),
            deadline_s=60,
            what=f"{where}: the split is historic",
        )
        check_every_event_once(asker, stream, where)
        check_files(node.data, asker, where)
    asker.close()
    return killed


def _has_ended(process: psutil.Process) -> bool:
    """A zombie is one that nobody has waited for yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _ask_to_seal(node: ServedNode, topic: str) -> None:
    # The node is killed while it answers.
    with contextlib.suppress(OSError, HTTPException, RuntimeError):
        seal(node, topic)


def check_every_event_once(asker: Asker, stream: Disorder, where: str) -> None:
    """The count by nodes and roots, and every event by its bytes."""
    (row,) = asker.ask("aggregate")["rows"]
    assert row["count"] == len(stream.events), f"{where}: counts {row['count']} of {len(stream.events)}"
    rows, _ = asker.events()
    places = [(row["_ts"], row["_partition"], row["_offset"]) for row in rows]
    assert places == [event.place for event in stream.ordered], f"{where}: events lost, twice, or out of order"
    assert all(matches_as_json(row, event) for row, event in zip(rows, stream.ordered, strict=True)), where


def check_files(data: Path, asker: Asker, where: str) -> None:
    """One version of each split, no gap in their numbers, and no file that no manifest names."""
    splits = asker.splits()
    assert [split["number"] for split in splits] == list(range(len(splits))), f"{where}: {splits}"
    assert [split["state"] for split in splits[:-1]] == ["historic"] * (len(splits) - 1), f"{where}: {splits}"
    named = {(str(split["number"]), name) for split in splits for name in split["files"]}
    found = set[tuple[str, str]]()

    def are_those() -> bool:
        found.clear()
        with contextlib.suppress(FileNotFoundError):  # a thread of the node removes it at this moment
            found.update((path.parent.name, path.name) for path in (data / "topics").glob("*/**/*") if path.is_file())
        return found == named

    try:
        wait_until(are_those)
    except AssertionError as late:
        raise AssertionError(f"{where}: files {found ^ named} are left over or missing") from late


def counts_of(states: list[str]) -> Mapping[str, int]:
    return {state: states.count(state) for state in sorted(set(states))}
