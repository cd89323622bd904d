"""Every setting of a node: name, unit, default, bounds and reason, and where its value came from.

Precedence: default < TOML file (`--config`) < environment (`TIMESPLIT_…`) < command line. A setting
`buffer_bytes` is the TOML key `buffer_bytes` and the variable `TIMESPLIT_BUFFER_BYTES`. Topic settings live in
`sharding.topic_configs`.
"""

import os
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import cast

from raft.engines import Engine

from .errors import SettingsError

KIB = 1024
MIB = 1024 * KIB

Value = str | int | float | bool


class Origin(StrEnum):
    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a setting means: its unit, its closed bounds (None: unbounded), and why it is what it is."""

    reason: str
    unit: str = ""
    least: int | None = None
    most: int | None = None


def _text(default: str, reason: str) -> str:
    return field(default=default, metadata={"meaning": Meaning(reason)})


def _count(default: int, unit: str, least: int, most: int, reason: str) -> int:
    return field(default=default, metadata={"meaning": Meaning(reason, unit, least, most)})


def _flag(default: bool, reason: str) -> bool:
    return field(default=default, metadata={"meaning": Meaning(reason)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A node's settings; every bound of a queue, loop, frame or wait that an operator may move is here."""

    data: str = _text("./timesplit-data", "the data directory")
    node_id: int = _count(1, "", 1, 2**31 - 1, "Kafka broker id and Raft node id")
    host: str = _text("", "label of the machine; replicas of a shard avoid sharing one (empty: the host name)")
    workers: int = _count(1, "nodes", 1, 64, "nodes started on this machine")
    kafka: str = _text("127.0.0.1:9092", "address of the Kafka listener")
    http: str = _text("127.0.0.1:8080", "address of the HTTP listener")
    peer: str = _text("127.0.0.1:9192", "address of the listener for other nodes; a node alone opens it only if given")
    advertise: str = _text("", "host name that clients are told (empty: the listener's host)")
    members: str = _text("", "founding members: 1@HOST:PEERPORT,2@…, the same list on each")
    join: str = _text("", "peer addresses of a cluster that this node joins: HOST:PEERPORT,…")
    meta_engine: str = _text("pysyncobj", "what the catalog's quorum runs on: native or pysyncobj")

    auto_create_topics: bool = _flag(
        default=True, reason="a produce or metadata request creates an unknown topic, as Kafka does"
    )
    partitions: int = _count(1, "partitions", 1, 10_000, "of a topic created without a number (num.partitions)")
    request_bytes_max: int = _count(
        100 * MIB, "bytes", 64 * KIB, 1024 * MIB, "largest frame a client may send, as Kafka"
    )
    request_budget_bytes: int = _count(
        256 * MIB, "bytes", 4 * MIB, 16 * 1024 * MIB, "unfinished frames of all connections together"
    )
    connections_max: int = _count(4_096, "connections", 1, 1_000_000, "Kafka connections at a time")
    connections_per_ip_max: int = _count(
        2_048, "connections", 1, 1_000_000, "Kafka connections from one address at a time"
    )
    connection_idle_ms: int = _count(
        600_000, "ms", 1_000, 86_400_000, "a silent Kafka connection is closed, as Kafka does"
    )
    frame_deadline_ms: int = _count(30_000, "ms", 100, 3_600_000, "a frame that was begun must be complete by then")

    segment_bytes: int = _count(64 * MIB, "bytes", 1 * MIB, 2048 * MIB, "size of a log segment; preallocated")
    buffer_bytes: int = _count(
        1 * MIB, "bytes", 4 * KIB, 64 * MIB, "appends gathered into one log entry while the disk is busy"
    )
    inflight_bytes: int = _count(
        64 * MIB,
        "bytes",
        1 * MIB,
        4096 * MIB,
        "appended but uncommitted bytes a shard; above it appends are refused",
    )
    checkpoint_bytes: int = _count(
        64 * MIB,
        "bytes",
        1 * MIB,
        16 * 1024 * MIB,
        "log between two checkpoints, a command counting 2 KiB more; a restart replays at most this much",
    )
    shards_per_node: int = _count(2, "shards", 1, 256, "of each replication factor in use")
    replace_after_ms: int = _count(300_000, "ms", 1_000, 2**31, "silence of a node before others take its replicas")
    balance_ms: int = _count(10_000, "ms", 0, 2**31, "between two moves of leadership to preferred nodes (0: none)")

    http_connections_max: int = _count(1_024, "connections", 2, 1_000_000, "HTTP connections at a time; beyond: 503")
    http_body_bytes_max: int = _count(16 * MIB, "bytes", 1 * KIB, 1024 * MIB, "largest body of an HTTP request")
    http_body_budget_bytes: int = _count(
        64 * MIB, "bytes", 1 * KIB, 16 * 1024 * MIB, "bodies of all HTTP requests together; beyond: 429"
    )
    query_threads: int = _count(2, "threads", 1, 64, "time-range queries computed at a time; further ones wait")
    query_waiting_max: int = _count(
        64, "queries", 0, 10_000, "HTTP queries under way beyond query_threads; further ones are answered 429"
    )

    group_session_min_ms: int = _count(6_000, "ms", 1, 3_600_000, "least session timeout of a consumer, as Kafka")
    group_session_max_ms: int = _count(
        1_800_000, "ms", 1, 86_400_000, "greatest session timeout of a consumer, as Kafka"
    )
    group_rebalance_delay_ms: int = _count(
        0, "ms", 0, 60_000, "wait for more members before a new group's first generation"
    )
    group_members_max: int = _count(1_000, "members", 1, 100_000, "of one consumer group")
    stop_deadline_ms: int = _count(10_000, "ms", 100, 600_000, "SIGTERM to exit")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and the origin of each by name."""

    settings: Settings
    origins: Mapping[str, Origin]


def load(
    options: Mapping[str, Value | None],
    *,
    config_file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """Put the layers together. `options` are command line values; None means not given. Raises: SettingsError."""
    environment = os.environ if environment is None else environment
    known: dict[str, Field[Value]] = {f.name: cast("Field[Value]", f) for f in fields(Settings)}
    values: dict[str, Value] = {}
    origins = dict.fromkeys(known, Origin.DEFAULT)
    for name, raw in _read_file(config_file).items():
        if name not in known:
            raise SettingsError(f"{config_file}: unknown setting {name!r}")
        values[name] = _typed(known[name], raw)
        origins[name] = Origin.FILE
    for name, setting in known.items():
        text = environment.get(f"TIMESPLIT_{name.upper()}")
        if text is not None:
            values[name] = _typed(setting, text)
            origins[name] = Origin.ENVIRONMENT
    for name, given in options.items():
        if given is not None:
            values[name] = _typed(known[name], given)
            origins[name] = Origin.COMMAND_LINE
    settings = Settings(**values)  # pyright: ignore[reportArgumentType] - each value was checked against its field
    _refuse_what_is_not_built(settings)
    for name in ("kafka", "http", "peer"):
        address(cast("str", getattr(settings, name)), name)
    if settings.members and settings.join:
        raise SettingsError("members found a cluster, join is for a further node: give one of them")
    if settings.members and settings.node_id not in members_of(settings):
        raise SettingsError(f"this is node {settings.node_id}, which members does not name: {settings.members!r}")
    join_addresses(settings)
    return Loaded(settings, origins)


def meaning_of(name: str) -> Meaning:
    found = next(f for f in fields(Settings) if f.name == name)
    return cast("Meaning", found.metadata["meaning"])


def address(text: str, name: str) -> tuple[str, int]:
    """HOST:PORT, port 0 for any free one. Raises: SettingsError."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise SettingsError(f"{name} must be HOST:PORT, not {text!r}")
    return host.strip("[]"), int(port)


def members_of(settings: Settings) -> dict[int, tuple[str, int]]:
    """Node id -> peer address of each founding member; empty without a list. Raises: SettingsError."""
    members: dict[int, tuple[str, int]] = {}
    for entry in _entries(settings.members):
        number, at, where = entry.partition("@")
        if not at or not number.isdecimal() or not 0 < int(number) < 2**31:
            raise SettingsError(f"members must be ID@HOST:PEERPORT,…, not {entry!r}")
        found = _reachable(where, "members")
        if int(number) in members or found in members.values():
            raise SettingsError(f"members names {entry!r} twice")
        members[int(number)] = found
    return members


def join_addresses(settings: Settings) -> list[tuple[str, int]]:
    """Raises: SettingsError."""
    return [_reachable(entry, "join") for entry in _entries(settings.join)]


def host_label(settings: Settings) -> str:
    return settings.host or platform.node()


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",")] if text.strip() else []


def _reachable(text: str, name: str) -> tuple[str, int]:
    host, port = address(text, name)
    if not port:
        raise SettingsError(f"{name} must say a port, not {text!r}")
    return host, port


def _read_file(path: Path | None) -> Mapping[str, Value]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"config file {path}: {error}") from error


def _typed(setting: Field[Value], raw: Value) -> Value:
    wanted = type(setting.default)
    name = setting.name
    meaning = meaning_of(name)
    if wanted is bool:
        if isinstance(raw, str) and raw.lower() in {"true", "false", "1", "0", "yes", "no"}:
            return raw.lower() in {"true", "1", "yes"}
        if isinstance(raw, bool):
            return raw
        raise SettingsError(f"{name} must be true or false, not {raw!r}")
    if wanted is int:
        if isinstance(raw, bool) or not isinstance(raw, str | int):
            raise SettingsError(f"{name} must be a whole number, not {raw!r}")
        try:
            number = int(raw)
        except ValueError as error:
            raise SettingsError(f"{name} must be a whole number, not {raw!r}") from error
        if (meaning.least is not None and number < meaning.least) or (
            meaning.most is not None and number > meaning.most
        ):
            raise SettingsError(
                f"{name} is {number}, must be {meaning.least} to {meaning.most} {meaning.unit}".rstrip()
            )
        return number
    if not isinstance(raw, str):
        raise SettingsError(f"{name} must be text, not {raw!r}")
    return raw


def _refuse_what_is_not_built(settings: Settings) -> None:
    if settings.workers > 1:
        raise SettingsError("--workers above 1 is not built yet: start one node")
    engines = [engine.value for engine in Engine]
    if settings.meta_engine not in engines:
        raise SettingsError(f"meta_engine must be {' or '.join(engines)}, not {settings.meta_engine!r}")
