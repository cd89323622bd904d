"""Bounds of the HTTP door; `timesplit.settings` lists those that an operator may move."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """`body_budget_bytes`: request bodies of all connections together.

    `queries_max`: under way, from the plan to the last byte of the answer. A body that is not complete within
    `body_deadline_s`, and a client that takes no byte for `stall_deadline_s`, are given up.
    """

    connections_max: int = 1_024
    body_bytes_max: int = 16 * MIB
    body_budget_bytes: int = 64 * MIB
    queries_max: int = 66
    query_threads: int = 2
    body_deadline_s: float = 30.0
    stall_deadline_s: float = 60.0
    keep_alive_s: int = 30
    close_deadline_s: int = 3
