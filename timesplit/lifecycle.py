"""A served node from start to stop: directory, node, doors, `ready`, signals, and the order of leaving.

Exit codes: 0 after SIGTERM or Ctrl-C, 1 a fault, 3 the data directory, 4 a port in use.
"""

import errno
import gc
import json
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from raft.interfaces import GroupId
from raft.node_files import DataDirectory
from sharding.interfaces import NodeAddress

from . import telemetry
from .doors import Doors, wire_doors
from .errors import NodeFailedError, PortInUseError
from .settings import Settings, address
from .wiring import open_directory, wire_node

KAFKA_DRAIN_MS = 3_000

Register = Callable[[NodeAddress], Awaitable[None]]
Start = Callable[[str, int], Awaitable[tuple[str, int]]]

log = logging.getLogger("timesplit")


def serve(settings: Settings) -> int:
    """Run a node until it is told to stop; the exit code."""
    telemetry.log_to_stderr()
    anyio.run(_serve, settings, backend_options={"use_uvloop": True})
    return 0


async def _serve(settings: Settings) -> None:
    failure: list[Exception] = []
    must_stop = anyio.Event()

    def on_failure(group_id: GroupId | None, error: Exception) -> None:
        log.critical("%s failed: %r", "the disk" if group_id is None else f"group {group_id}", error)
        failure.append(error)
        must_stop.set()

    wired = wire_node(settings, open_directory(settings), on_failure)
    try:
        await wired.start()
        doors = wire_doors(settings, wired)
        await _open_doors(settings, wired.directory, doors, wired.node.register)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(doors.probe.run)
            tasks.start_soon(_stop_on_signal, must_stop)
            # What start made stays: the collector need not look at it again.
            gc.freeze()
            gc.enable()
            doors.is_ready[0] = True
            print("ready", flush=True)  # noqa: T201 - scripts wait for this line
            await must_stop.wait()
            doors.is_ready[0] = False
            tasks.cancel_scope.cancel()
        with anyio.move_on_after(settings.stop_deadline_ms / 1000, shield=True):
            await doors.kafka.close(KAFKA_DRAIN_MS)
            await doors.http.close()
    finally:
        with anyio.CancelScope(shield=True):
            await wired.close()
    if failure:
        raise NodeFailedError(str(failure[0])) from failure[0]


async def _open_doors(settings: Settings, directory: DataDirectory, doors: Doors, register: Register) -> None:
    kafka = await _listening(doors.kafka.start, settings.kafka, "kafka")
    http = await _listening(doors.http.start, settings.http, "http")
    host = settings.advertise or kafka[0]
    await register(NodeAddress(node_id=directory.node_id, host=host, kafka_port=kafka[1], http_port=http[1], rack=None))
    # Scripts and tests that asked for port 0 read here what they got.
    addresses = {"kafka": f"{kafka[0]}:{kafka[1]}", "http": f"{http[0]}:{http[1]}", "pid": os.getpid()}
    (Path(directory.path) / "addresses.json").write_text(json.dumps(addresses))
    log.info("node %d: Kafka on %s, HTTP on %s", directory.node_id, addresses["kafka"], addresses["http"])


async def _listening(start: Start, setting: str, name: str) -> tuple[str, int]:
    try:
        return await start(*address(setting, name))
    except OSError as error:
        if error.errno in {errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL}:
            raise PortInUseError(f"{name} cannot listen on {setting}: {error.strerror}") from error
        raise


async def _stop_on_signal(must_stop: anyio.Event) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("stopping on %s", number.name)
            must_stop.set()
            return
