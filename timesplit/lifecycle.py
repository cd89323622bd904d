"""A served node from start to stop: directory, cluster, node, doors, `ready`, signals, and the order of leaving.

Among other nodes a start may wait for them as long as it takes; a signal ends that too. `ready` is said when this node
is registered, knows the catalog, and each shard that has a replica here is led by somebody.
Exit codes: 0 after SIGTERM or Ctrl-C, 1 a fault, 3 the data directory, 4 a port in use.
"""

import gc
import json
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from raft.errors import DataDirectoryError as RaftDirectoryError
from raft.interfaces import GroupId
from raft.node_files import DataDirectory
from sharding.interfaces import NodeAddress
from sharding.node import Node

from . import telemetry
from .doors import USED_PORT_ERRORS, Doors
from .errors import DataDirectoryError, NodeFailedError, PortInUseError
from .peering import Peering, is_among_others, open_peering
from .settings import Settings
from .wiring import Wired, open_directory, open_directory_of_member, raft_settings, wire_node

LOOK_S = 0.02
LOOKS_A_WORD = 250

log = logging.getLogger("timesplit")


def serve(settings: Settings, *, is_peer_given: bool = False) -> int:
    """Run a node until it is told to stop; the exit code. `is_peer_given`: the peer listener was asked for."""
    telemetry.log_to_stderr()
    anyio.run(_serve, settings, is_peer_given, backend_options={"use_uvloop": True})
    return 0


async def _serve(settings: Settings, is_peer_given: bool) -> None:
    ended: list[Exception] = []
    failure: list[Exception] = []
    must_stop = anyio.Event()

    def on_failure(group_id: GroupId | None, error: Exception) -> None:
        log.critical("%s failed: %r", "the disk" if group_id is None else f"group {group_id}", error)
        failure.append(error)
        must_stop.set()

    async with anyio.create_task_group() as signals:
        await signals.start(_stop_on_signal, must_stop)
        try:
            await _served(settings, must_stop, on_failure, is_peer_given=is_peer_given)
        except Exception as error:  # noqa: BLE001 - raised again below, without the group around it
            ended.append(error)
        signals.cancel_scope.cancel()
    if failure:
        for error in ended:
            log.error("it ended with: %r", error)  # what waits for a group that stopped cannot say why it did
        raise NodeFailedError(str(failure[0])) from failure[0]
    if ended:
        raise ended[0]


async def _served(
    settings: Settings,
    must_stop: anyio.Event,
    on_failure: Callable[[GroupId | None, Exception], None],
    *,
    is_peer_given: bool,
) -> None:
    opened = _Opened(settings)
    doors = Doors(settings)

    async def start() -> None:
        wired = await opened.open(on_failure, is_peer_given=is_peer_given)
        await wired.start()
        await _open_doors(settings, wired, doors)
        await _until_led(wired.node)
        await doors.until_all_answer()

    try:
        if await _unless_stopped(must_stop, start):
            await _run(doors, must_stop)
        if doors.are_open:
            doors.is_ready = False
            with anyio.move_on_after(settings.stop_deadline_ms / 1000, shield=True):
                # While the doors are open, so that clients find the new leaders here.
                await opened.hand_over()
                await doors.close()
    finally:
        with anyio.CancelScope(shield=True):
            await opened.close()


async def _run(doors: Doors, must_stop: anyio.Event) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(doors.probe.run)
        # What start made stays: the collector need not look at it again.
        gc.freeze()
        gc.enable()
        doors.is_ready = True
        log.info("ready")
        print("ready", flush=True)  # noqa: T201 - scripts wait for this line
        await must_stop.wait()
        tasks.cancel_scope.cancel()


async def _unless_stopped(must_stop: anyio.Event, work: Callable[[], Awaitable[None]]) -> bool:
    """Do the work; False if it was cut short by `must_stop`. Raises what the work raises."""
    errors: list[Exception] = []
    is_done = False
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            await must_stop.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        try:
            await work()
            is_done = True
        except Exception as error:  # noqa: BLE001 - raised again below, without the group around it
            errors.append(error)
        tasks.cancel_scope.cancel()
    if errors:
        raise errors[0]
    return is_done


class _Opened:
    """What was opened of a node so far, so that it can be closed at any moment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._directory: DataDirectory | None = None
        self._peering: Peering | None = None
        self._wired: Wired | None = None

    async def open(self, on_failure: Callable[[GroupId | None, Exception], None], *, is_peer_given: bool) -> Wired:
        """Raises: errors.DataDirectoryError, PortInUseError."""
        settings = self._settings
        is_member = bool(settings.members or settings.join)
        directory = self._directory = (open_directory_of_member if is_member else open_directory)(settings)
        if is_among_others(settings, directory, is_peer_given=is_peer_given):
            try:
                self._peering = await open_peering(
                    settings, directory, raft_settings(settings), is_peer_given=is_peer_given
                )
            except OSError as error:
                if error.errno in USED_PORT_ERRORS:
                    raise PortInUseError(f"peer cannot listen on {settings.peer}: {error.strerror}") from error
                raise
            try:
                await self._peering.find_cluster()
            except (RaftDirectoryError, OSError) as error:
                raise DataDirectoryError(str(error)) from error
            directory = self._directory = self._peering.directory
        self._wired = wire_node(settings, directory, on_failure, self._peering)
        return self._wired

    async def hand_over(self) -> None:
        """Leadership goes to other nodes; clients are served all the while."""
        if self._wired is not None:
            await self._wired.node.hand_over()

    async def close(self) -> None:
        if self._wired is not None:
            await self._wired.close()
            return
        if self._peering is not None:
            await self._peering.close()
        if self._directory is not None:
            self._directory.close()


async def _open_doors(settings: Settings, wired: Wired, doors: Doors) -> None:
    directory = wired.directory
    opened = await doors.open(wired)
    kafka, http = opened.kafka, opened.http
    host = settings.advertise or kafka[0]
    await wired.node.register(
        NodeAddress(node_id=directory.node_id, host=host, kafka_port=kafka[1], http_port=http[1], rack=None)
    )
    # Scripts and tests that asked for port 0 read here what they got.
    addresses = {"kafka": f"{kafka[0]}:{kafka[1]}", "http": f"{http[0]}:{http[1]}", "pid": os.getpid()}
    if wired.peering is not None:
        addresses["peer"] = f"{wired.peering.reachable.host}:{wired.peering.reachable.port}"
    (Path(directory.path) / "addresses.json").write_text(json.dumps(addresses))
    log.info("node %d: Kafka on %s, HTTP on %s", directory.node_id, addresses["kafka"], addresses["http"])


async def _until_led(node: Node) -> None:
    """Coordinators have their shards, and every shard with a replica here has a leader that this node knows."""
    looks = 0
    while missing := _not_led(node):
        if looks % LOOKS_A_WORD == 0:
            log.info("waiting: %s", missing)
        looks += 1
        await anyio.sleep(LOOK_S)


def _not_led(node: Node) -> str:
    """What is missing; empty: nothing."""
    if not node.catalog.slots:
        return "the coordinators have no shards yet"
    for shard_id, record in sorted(node.catalog.shards.items()):
        if node.node_id in record.replicas and node.leader_of_shard(shard_id) is None:
            return f"shard {shard_id} has no leader yet"
    return ""


async def _stop_on_signal(must_stop: anyio.Event, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            log.info("stopping on %s", number.name)
            must_stop.set()
            return
