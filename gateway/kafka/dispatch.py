"""Which requests we serve, on one screen, and the way of a frame to its handler.

A request frame: int16 api key, int16 version, int32 correlation id, nullable string client id (int16 length), tagged
fields if the version is flexible, then the message. Source: the Kafka protocol guide; KIP-482, KIP-511.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from ..wire.primitives import skip_tags
from .apis import (
    alter_configs,
    api_versions,
    create_topics,
    delete_groups,
    delete_topics,
    describe_cluster,
    describe_configs,
    describe_groups,
    describe_topic_partitions,
    fetch,
    find_coordinator,
    heartbeat,
    incremental_alter_configs,
    init_producer_id,
    join_group,
    leave_group,
    list_groups,
    list_offsets,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    sync_group,
)
from .context import AnswerTaker, Buffer, Door, RequestContext
from .errors import MalformedFrameError, UnknownRequestError
from .metrics import API_KEYS_MAX

MIB = 1024 * 1024
FRAME_BYTES_MAX = (1 << 31) - 1  # the frame limit of the settings is below

Handler = Callable[..., object]
"""(request, context) -> response | PENDING | coroutine of a response; each is typed for its own API."""


@dataclass(frozen=True, slots=True)
class Api:
    """A row of the table: versions first to last; `messages` is the generated module of that name.

    `request_bytes_max` bounds how many things a request can name, since a handler runs in one step of the loop.
    A coroutine holds back the connection's next requests, as Kafka does for every request.
    `is_patient`: it may wait for minutes, so a stopping server does not wait for it.
    """

    messages: str
    first: int
    last: int
    handle: Handler
    request_bytes_max: int = MIB
    is_patient: bool = False


API_TABLE: Final = {
    0: Api("produce", 3, 12, produce.handle, request_bytes_max=FRAME_BYTES_MAX),
    1: Api("fetch", 4, 16, fetch.handle),
    2: Api("list_offsets", 1, 11, list_offsets.handle),
    3: Api("metadata", 0, 13, metadata.handle),
    8: Api("offset_commit", 2, 9, offset_commit.handle),
    9: Api("offset_fetch", 1, 9, offset_fetch.handle),
    10: Api("find_coordinator", 0, 6, find_coordinator.handle),
    11: Api("join_group", 0, 9, join_group.handle, request_bytes_max=8 * MIB, is_patient=True),
    12: Api("heartbeat", 0, 4, heartbeat.handle),
    13: Api("leave_group", 0, 5, leave_group.handle),
    14: Api("sync_group", 0, 5, sync_group.handle, request_bytes_max=8 * MIB, is_patient=True),
    15: Api("describe_groups", 0, 6, describe_groups.handle),
    16: Api("list_groups", 0, 5, list_groups.handle),
    18: Api("api_versions", 0, 4, api_versions.handle),
    19: Api("create_topics", 2, 7, create_topics.handle),
    20: Api("delete_topics", 1, 6, delete_topics.handle),
    22: Api("init_producer_id", 0, 5, init_producer_id.handle),
    23: Api("offset_for_leader_epoch", 2, 4, offset_for_leader_epoch.handle),
    32: Api("describe_configs", 1, 4, describe_configs.handle),
    33: Api("alter_configs", 0, 2, alter_configs.handle),
    42: Api("delete_groups", 0, 2, delete_groups.handle),
    44: Api("incremental_alter_configs", 0, 1, incremental_alter_configs.handle),
    47: Api("offset_delete", 0, 0, offset_delete.handle),
    60: Api("describe_cluster", 0, 2, describe_cluster.handle),
    75: Api("describe_topic_partitions", 0, 0, describe_topic_partitions.handle),
}

API_VERSIONS: Final = 18
OFFERED: Final[Sequence[tuple[int, int, int]]] = tuple((key, api.first, api.last) for key, api in API_TABLE.items())

assert max(API_TABLE) < API_KEYS_MAX

_HEADER = struct.Struct(">Iih")
_HEADER_BYTES = _HEADER.size
_SMALL_HEAD = struct.Struct(">ii")
_FLEXIBLE_HEAD = struct.Struct(">iiB")


@dataclass(frozen=True, slots=True)
class Route:
    """One version of one API, ready to use. The header of its request `has_tags` if it is flexible."""

    key: int
    version: int
    api: Api
    handle: Handler
    decode: Callable[[memoryview, int], tuple[object, int]]
    encode: Callable[[object], list[Buffer]]
    has_tags: bool
    answer_has_tags: bool

    def framed(self, correlation_id: int, response: object) -> list[Buffer]:
        """The response's bytes behind its length and header; large records stay buffers of their own."""
        parts = self.encode(response)
        size = 4 + sum(map(len, parts))
        if self.answer_has_tags:
            head = _FLEXIBLE_HEAD.pack(size + 1, correlation_id, 0)
        else:
            head = _SMALL_HEAD.pack(size, correlation_id)
        parts[0] = head + parts[0]
        return parts


def _routes() -> Mapping[int, Route]:
    found: dict[int, Route] = {}
    for key, api in API_TABLE.items():
        messages = import_module(f"gateway.wire.messages.{api.messages}")
        flexible_from = cast("int | None", messages.FLEXIBLE_FROM)
        for version in range(api.first, api.last + 1):
            has_tags = flexible_from is not None and version >= flexible_from
            found[key << 16 | version] = Route(
                key=key,
                version=version,
                api=api,
                handle=api.handle,
                decode=messages.REQUEST_DECODERS[version],
                encode=messages.RESPONSE_ENCODERS[version],
                has_tags=has_tags,
                # A client must read this answer before it knows what we speak.
                answer_has_tags=has_tags and key != API_VERSIONS,
            )
    return found


ROUTES: Final = _routes()


def read_request(frame: memoryview, connection: AnswerTaker, door: Door) -> tuple[RequestContext, object]:
    """Raises: MalformedFrameError, gateway.wire.errors.MalformedError, UnknownRequestError."""
    if len(frame) < _HEADER_BYTES:
        raise MalformedFrameError(f"frame of {len(frame)} bytes, a header has {_HEADER_BYTES}")
    key_and_version, correlation_id, client_id_bytes = cast("tuple[int, int, int]", _HEADER.unpack_from(frame))
    route = ROUTES.get(key_and_version)
    if route is None:
        return _unknown(key_and_version, correlation_id, connection, door)
    door.metrics.requests[route.key] += 1
    position = client_id_end = _HEADER_BYTES + max(0, client_id_bytes)
    size = len(frame)
    if client_id_bytes < -1 or position > size:
        raise MalformedFrameError(f"client id of {client_id_bytes} bytes in a frame of {size}")
    if size > route.api.request_bytes_max:
        raise MalformedFrameError(f"{route.api.messages} of {size} bytes, at most {route.api.request_bytes_max}")
    if route.has_tags:
        position = skip_tags(frame, position, size)
    request, _ = route.decode(frame, position)
    client_id = bytes(frame[_HEADER_BYTES:client_id_end])
    return RequestContext(connection, door, route, correlation_id, client_id), request


def _unknown(
    key_and_version: int, correlation_id: int, connection: AnswerTaker, door: Door
) -> tuple[RequestContext, object]:
    key, version = key_and_version >> 16, key_and_version & 0xFFFF
    if key != API_VERSIONS:
        raise UnknownRequestError(key, version)
    # A newer client: answered in version 0 with our list, so that it can choose again.
    door.metrics.requests[key] += 1
    route = ROUTES[key << 16]
    return RequestContext(connection, door, route, correlation_id, b""), api_versions.TOO_NEW
