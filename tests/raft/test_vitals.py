"""The thread that gives signs: real sockets on the loopback, conditions with a deadline."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from raft.interfaces import GroupId, NodeId, Term
from raft.vital_signs import Sign, encode_led, encode_sign, key_of
from raft.vitals import Vitals, now_ms
from tests.support.ports import free_ports
from tests.support.waiting import wait_until

KEY = key_of("cluster", b"n" * 16)
ONE, TWO = NodeId(1), NodeId(2)
GROUP, TERM = GroupId(3), Term(5)
DEADLINE_S = 30.0


@contextmanager
def pair(**timings: int) -> Iterator[tuple[Vitals, Vitals]]:
    """Two nodes that know each other; the second one leads a group."""
    first, second = (
        Vitals(node, **{"heartbeat_ms": 10, "election_ms": 5_000, "stall_ms": 60_000, **timings}) for node in (ONE, TWO)
    )
    ports = free_ports(2)
    second.led = lambda: [(GROUP, TERM)]
    try:
        for vitals, port in zip((first, second), ports, strict=True):
            vitals.open("127.0.0.1", port)
            vitals.beat(now_ms())
        first.on_up(TWO, ("127.0.0.1", ports[1]), KEY)
        second.on_up(ONE, ("127.0.0.1", ports[0]), KEY)
        yield first, second
    finally:
        first.close()
        second.close()


def test_a_node_that_gives_signs_lives_and_leads_what_it_says_and_nothing_else() -> None:
    with pair() as (first, second):
        wait_until(lambda: first.lives(TWO) and second.lives(ONE), deadline_s=DEADLINE_S, what="signs")
        assert first.leads(TWO, GROUP, TERM)
        assert not first.leads(TWO, GROUP, Term(6))
        assert not first.leads(TWO, GroupId(4), TERM)
        assert not second.leads(ONE, GROUP, TERM)


def test_what_a_node_leads_no_more_is_said_no_more() -> None:
    with pair() as (first, second):
        wait_until(lambda: first.leads(TWO, GROUP, TERM), deadline_s=DEADLINE_S, what="the first sign")
        second.led = list
        second.beat(now_ms())
        wait_until(lambda: not first.leads(TWO, GROUP, TERM), deadline_s=DEADLINE_S, what="that it leads no more")
        assert first.lives(TWO)


def test_a_node_whose_thread_has_ended_lives_no_more_after_an_election_time() -> None:
    with pair(election_ms=200) as (first, second):
        wait_until(lambda: first.lives(TWO), deadline_s=DEADLINE_S, what="the first sign")
        second.close()
        wait_until(lambda: not first.lives(TWO), deadline_s=DEADLINE_S, what="that it is thought dead")


def test_a_loop_that_hangs_is_spoken_for_no_longer_than_the_stall_time() -> None:
    with pair(election_ms=100, stall_ms=300) as (first, _):
        wait_until(lambda: first.lives(TWO), deadline_s=DEADLINE_S, what="the first sign")

        def is_thought_dead() -> bool:
            first.on_bytes(TWO, now_ms())  # its kernel still answers, say
            first.beat(now_ms())
            return not first.lives(TWO)

        wait_until(is_thought_dead, deadline_s=DEADLINE_S, what="that its loop is thought dead")


def test_signs_do_not_stand_in_for_messages_for_longer_than_the_stall_time() -> None:
    with pair(stall_ms=5_500) as (first, _):
        wait_until(lambda: first.lives(TWO), deadline_s=DEADLINE_S, what="the first sign")
        first.on_bytes(TWO, now_ms() - 5_500)
        assert not first.lives(TWO)
        first.on_bytes(TWO, now_ms())
        assert first.lives(TWO)


def test_a_link_that_is_down_has_no_signs() -> None:
    with pair() as (first, _):
        wait_until(lambda: first.lives(TWO), deadline_s=DEADLINE_S, what="the first sign")
        first.on_down(TWO)
        assert not first.lives(TWO)


def test_forged_and_repeated_signs_count_nothing() -> None:
    port = free_ports(1)[0]
    listening = Vitals(ONE, heartbeat_ms=10, election_ms=500, stall_ms=60_000)
    listening.open("127.0.0.1", port)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            listening.on_up(TWO, ("127.0.0.1", free_ports(1)[0]), KEY)
            there = ("127.0.0.1", port)
            led = encode_led([(GROUP, TERM)])
            sender.sendto(encode_sign(Sign(TWO, 1, led), key_of("cluster", b"f" * 16)), there)
            sender.sendto(b"\x01" + bytes(40), there)
            numbers = count(2)
            genuine = b""

            def lives() -> bool:
                nonlocal genuine
                genuine = encode_sign(Sign(TWO, next(numbers), led), KEY)
                sender.sendto(genuine, there)
                return listening.lives(TWO)

            # Again and again: this thread may sleep for as long as one sign counts.
            wait_until(lives, deadline_s=DEADLINE_S, what="a genuine sign")

            def is_over() -> bool:
                sender.sendto(genuine, there)
                sender.sendto(encode_sign(Sign(TWO, 1, led), KEY), there)
                return not listening.lives(TWO)

            wait_until(is_over, deadline_s=DEADLINE_S, what="that repetitions prolong nothing")
    finally:
        listening.close()


def test_a_port_that_is_taken_leaves_a_node_without_signs_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        vitals = Vitals(ONE, heartbeat_ms=10, election_ms=500, stall_ms=5_000)
        vitals.open("127.0.0.1", other.getsockname()[1])
        vitals.close()
    assert "no signs of life" in caplog.text
    assert not vitals.lives(TWO)
