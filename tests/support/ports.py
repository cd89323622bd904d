"""Ports for servers that are told where to listen before they do, or that come back to where they were.

The kernel gives out its own ports to every socket that asks for any: one that was free a moment ago may be another's
when it is bound. These lie below, and a process of tests gives out none twice.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

FIRST_PORT = 10_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now, for TCP and for datagrams."""
    return [next(_PORTS) for _ in range(count)]


def _free() -> Iterator[int]:
    end = int(_RANGE.read_text().split()[0])
    assert end > FIRST_PORT, f"the kernel gives out ports from {end} on"
    # Two processes of tests at a time begin at different places.
    at = os.getpid() * 61 % (end - FIRST_PORT)
    while True:
        at = (at + 1) % (end - FIRST_PORT)
        if _is_free(FIRST_PORT + at):
            yield FIRST_PORT + at


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


_PORTS = _free()
