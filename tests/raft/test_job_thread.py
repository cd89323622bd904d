import threading
from collections.abc import Sequence

from raft.job_thread import JobThread


def unexpected(error: Exception) -> None:
    raise AssertionError(error)


def test_what_queues_up_meanwhile_is_one_batch_in_order() -> None:
    batches: list[list[int]] = []
    is_busy, may_go_on = threading.Event(), threading.Event()

    def handle(jobs: Sequence[int]) -> None:
        batches.append(list(jobs))
        is_busy.set()
        assert may_go_on.wait(20)

    thread = JobThread("test", handle, unexpected)
    thread.submit(0)
    assert is_busy.wait(20)
    for job in range(1, 6):
        thread.submit(job)
    may_go_on.set()
    thread.stop()
    assert batches == [[0], [1, 2, 3, 4, 5]]


def test_stop_does_what_is_queued_and_takes_nothing_more() -> None:
    done: list[int] = []
    thread = JobThread("test", done.extend, unexpected)
    for job in range(100):
        thread.submit(job)
    thread.stop()
    thread.submit(100)
    thread.stop()
    assert done == list(range(100))


def test_an_error_ends_the_thread_and_is_handed_on() -> None:
    handled: list[int] = []
    failures: list[Exception] = []
    has_failed = threading.Event()

    def handle(jobs: Sequence[int]) -> None:
        handled.extend(jobs)
        raise OSError("broken")

    def fail(error: Exception) -> None:
        failures.append(error)
        has_failed.set()

    thread = JobThread("test", handle, fail)
    thread.submit(1)
    assert has_failed.wait(20)
    thread.submit(2)
    thread.stop()
    assert handled == [1]
    assert [str(error) for error in failures] == ["broken"]
