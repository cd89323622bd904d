"""Headers of requests and responses, with their oddities.

A request header is `i16 api key, i16 api version, i32 correlation id`, then (from version 1) the client id, which is a
legacy string even in flexible requests, then (version 2, for the flexible versions of an API) tagged fields.
A response header is the correlation id, then (version 1, for flexible versions) tagged fields; the response of
ApiVersions always has version 0, because its reader may not know yet which version it is. Source: KIP-482, KIP-511.
"""

import struct
from dataclasses import dataclass
from struct import Struct
from typing import Final

from .errors import MalformedError, UnencodableError
from .primitives import (
    COMPACT_NULL,
    INT32,
    Buffer,
    read_legacy_nullable_string,
    skip_tags,
    write_legacy_nullable_string,
)

API_VERSIONS_KEY: Final = 18
CONTROLLED_SHUTDOWN_KEY: Final = 7
_REQUEST_FIXED: Final = Struct(">hhi")


@dataclass(frozen=True, slots=True)
class RequestHeader:
    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None = None


def request_header_version(api_key: int, api_version: int, flexible_from: int | None) -> int:
    """Return which header a request has; `flexible_from` is the API's first flexible version, None if it has none."""
    if flexible_from is not None and api_version >= flexible_from:
        return 2
    return 0 if api_key == CONTROLLED_SHUTDOWN_KEY and api_version == 0 else 1


def response_header_version(api_key: int, api_version: int, flexible_from: int | None) -> int:
    if api_key == API_VERSIONS_KEY or flexible_from is None:
        return 0
    return int(api_version >= flexible_from)


def peek_request(buffer: memoryview) -> tuple[int, int, int]:
    """Return api key, api version and correlation id: all that can be read before the API is known."""
    try:
        api_key, api_version, correlation_id = _REQUEST_FIXED.unpack_from(buffer, 0)
    except struct.error as fault:
        raise MalformedError(f"request header in {len(buffer)} bytes") from fault
    return api_key, api_version, correlation_id


def decode_request_header(buffer: memoryview, header_version: int) -> tuple[RequestHeader, int]:
    """Read the header at the start of a frame; return it and where the body begins. Raises: MalformedError."""
    api_key, api_version, correlation_id = peek_request(buffer)
    position = _REQUEST_FIXED.size
    client_id = None
    try:
        if header_version >= 1:
            client_id, position = read_legacy_nullable_string(buffer, position, len(buffer))
        if header_version >= 2:
            position = skip_tags(buffer, position, len(buffer))
    except (struct.error, UnicodeDecodeError) as fault:
        raise MalformedError(f"request header in {len(buffer)} bytes: {fault}") from fault
    return RequestHeader(api_key, api_version, correlation_id, client_id), position


def encode_request_header(header: RequestHeader, header_version: int) -> bytes:
    parts: list[Buffer] = []
    try:
        parts.append(_REQUEST_FIXED.pack(header.api_key, header.api_version, header.correlation_id))
        if header_version >= 1:
            write_legacy_nullable_string(parts.append, header.client_id)
    except (struct.error, UnicodeEncodeError) as fault:
        raise UnencodableError(f"{header}: {fault}") from fault
    if header_version >= 2:
        parts.append(COMPACT_NULL)
    return b"".join(parts)


def encode_response_header(correlation_id: int, header_version: int) -> bytes:
    return INT32.pack(correlation_id) + (COMPACT_NULL if header_version else b"")


def decode_response_header(buffer: memoryview, header_version: int) -> tuple[int, int]:
    """Return the correlation id and where the body begins. Raises: MalformedError."""
    try:
        (correlation_id,) = INT32.unpack_from(buffer, 0)
    except struct.error as fault:
        raise MalformedError(f"response header in {len(buffer)} bytes") from fault
    return correlation_id, skip_tags(buffer, 4, len(buffer)) if header_version else 4


def check_end(buffer: memoryview, position: int) -> None:
    """Refuse bytes behind a message: sender and receiver do not mean the same. Raises: MalformedError."""
    if position != len(buffer):
        raise MalformedError(f"message ends at byte {position} of {len(buffer)}")
