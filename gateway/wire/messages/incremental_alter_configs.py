# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""IncrementalAlterConfigs, versions 0 to 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final

from ..primitives import (
    BYTE,
    Buffer,
    COMPACT_NULL,
    Message,
    decoders,
    encoders,
    read_compact_count,
    read_compact_nullable_string,
    read_compact_string,
    read_legacy_count,
    read_legacy_nullable_string,
    read_legacy_string,
    skip_tags,
    unsigned,
    write_compact_nullable_string,
    write_compact_string,
    write_legacy_nullable_string,
    write_legacy_string,
)

API_KEY: Final = 44
FLEXIBLE_FROM: Final[int | None] = 1

_t = Struct(">?")
_tB = Struct(">?B")
_b = Struct(">b")
_h = Struct(">h")
_i = Struct(">i")

class AlterableConfig(Message):
    __slots__ = ("name", "config_operation", "value")

    def __init__(self, name: str = "", config_operation: int = 0, value: str | None = "") -> None:
        self.name = name
        self.config_operation = config_operation
        self.value = value


class AlterConfigsResource(Message):
    __slots__ = ("resource_type", "resource_name", "configs")

    def __init__(
        self,
        resource_type: int = 0,
        resource_name: str = "",
        configs: Sequence[AlterableConfig] = (),
    ) -> None:
        self.resource_type = resource_type
        self.resource_name = resource_name
        self.configs = configs


class IncrementalAlterConfigsRequest(Message):
    __slots__ = ("resources", "validate_only")

    def __init__(self, resources: Sequence[AlterConfigsResource] = (), validate_only: bool = False) -> None:
        self.resources = resources
        self.validate_only = validate_only


class AlterConfigsResourceResponse(Message):
    __slots__ = ("error_code", "error_message", "resource_type", "resource_name")

    def __init__(
        self,
        error_code: int = 0,
        error_message: str | None = "",
        resource_type: int = 0,
        resource_name: str = "",
    ) -> None:
        self.error_code = error_code
        self.error_message = error_message
        self.resource_type = resource_type
        self.resource_name = resource_name


class IncrementalAlterConfigsResponse(Message):
    __slots__ = ("throttle_time_ms", "responses")

    def __init__(
        self,
        throttle_time_ms: int = 0,
        responses: Sequence[AlterConfigsResourceResponse] = (),
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.responses = responses


def _decode_alterable_config_0(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        name, p = read_legacy_string(b, p, end)
    (config_operation,) = _b.unpack_from(b, p)
    p += 1
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        value = str(b[p + 2:q], "utf-8")
        p = q
    else:
        value, p = read_legacy_nullable_string(b, p, end)
    return AlterableConfig(name, config_operation, value), p


def _decode_alter_configs_resource_0(b, p, end):
    (resource_type,) = _b.unpack_from(b, p)
    p += 1
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        resource_name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        resource_name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 5)
    configs = []
    append = configs.append
    for _ in range(n):
        item, p = _decode_alterable_config_0(b, p, end)
        append(item)
    return AlterConfigsResource(resource_type, resource_name, configs), p


def _decode_incremental_alter_configs_request_0(b, p, end):
    n, p = read_legacy_count(b, p, end, 7)
    resources = []
    append = resources.append
    for _ in range(n):
        item, p = _decode_alter_configs_resource_0(b, p, end)
        append(item)
    (validate_only,) = _t.unpack_from(b, p)
    p += 1
    return IncrementalAlterConfigsRequest(resources, validate_only), p


def _decode_alterable_config_1(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_string(b, p, end)
    (config_operation,) = _b.unpack_from(b, p)
    p += 1
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        value = str(b[p + 1:q], "utf-8")
        p = q
    else:
        value, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return AlterableConfig(name, config_operation, value), p


def _decode_alter_configs_resource_1(b, p, end):
    (resource_type,) = _b.unpack_from(b, p)
    p += 1
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        resource_name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        resource_name, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 4 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 4)
    configs = []
    append = configs.append
    for _ in range(n):
        item, p = _decode_alterable_config_1(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return AlterConfigsResource(resource_type, resource_name, configs), p


def _decode_incremental_alter_configs_request_1(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 4 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 4)
    resources = []
    append = resources.append
    for _ in range(n):
        item, p = _decode_alter_configs_resource_1(b, p, end)
        append(item)
    validate_only, tags = _tB.unpack_from(b, p)
    p += 2
    if tags:
        p = skip_tags(b, p - 1, end)
    return IncrementalAlterConfigsRequest(resources, validate_only), p


def _encode_alterable_config_0(o, w):
    write_legacy_string(w, o.name)
    w(_b.pack(o.config_operation))
    write_legacy_nullable_string(w, o.value)


def _encode_alter_configs_resource_0(o, w):
    w(_b.pack(o.resource_type))
    write_legacy_string(w, o.resource_name)
    x = o.configs
    w(_i.pack(len(x)))
    for item in x:
        _encode_alterable_config_0(item, w)


def _encode_incremental_alter_configs_request_0(o, w):
    x = o.resources
    w(_i.pack(len(x)))
    for item in x:
        _encode_alter_configs_resource_0(item, w)
    w(_t.pack(o.validate_only))


def _encode_alterable_config_1(o, w):
    write_compact_string(w, o.name)
    w(_b.pack(o.config_operation))
    write_compact_nullable_string(w, o.value)
    w(COMPACT_NULL)


def _encode_alter_configs_resource_1(o, w):
    w(_b.pack(o.resource_type))
    write_compact_string(w, o.resource_name)
    x = o.configs
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_alterable_config_1(item, w)
    w(COMPACT_NULL)


def _encode_incremental_alter_configs_request_1(o, w):
    x = o.resources
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_alter_configs_resource_1(item, w)
    w(_tB.pack(o.validate_only, 0))


def _decode_alter_configs_resource_response_0(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    error_message, p = read_legacy_nullable_string(b, p, end)
    (resource_type,) = _b.unpack_from(b, p)
    p += 1
    resource_name, p = read_legacy_string(b, p, end)
    return AlterConfigsResourceResponse(error_code, error_message, resource_type, resource_name), p


def _decode_incremental_alter_configs_response_0(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 7)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_alter_configs_resource_response_0(b, p, end)
        append(item)
    return IncrementalAlterConfigsResponse(throttle_time_ms, responses), p


def _decode_alter_configs_resource_response_1(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    error_message, p = read_compact_nullable_string(b, p, end)
    (resource_type,) = _b.unpack_from(b, p)
    p += 1
    resource_name, p = read_compact_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return AlterConfigsResourceResponse(error_code, error_message, resource_type, resource_name), p


def _decode_incremental_alter_configs_response_1(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 6)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_alter_configs_resource_response_1(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return IncrementalAlterConfigsResponse(throttle_time_ms, responses), p


def _encode_alter_configs_resource_response_0(o, w):
    w(_h.pack(o.error_code))
    write_legacy_nullable_string(w, o.error_message)
    w(_b.pack(o.resource_type))
    x = o.resource_name.encode()
    w(_h.pack(len(x)))
    w(x)


def _encode_incremental_alter_configs_response_0(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.responses
    w(_i.pack(len(x)))
    for item in x:
        _encode_alter_configs_resource_response_0(item, w)


def _encode_alter_configs_resource_response_1(o, w):
    w(_h.pack(o.error_code))
    write_compact_nullable_string(w, o.error_message)
    w(_b.pack(o.resource_type))
    x = o.resource_name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(COMPACT_NULL)


def _encode_incremental_alter_configs_response_1(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.responses
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_alter_configs_resource_response_1(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[IncrementalAlterConfigsRequest, int]]]] = decoders(
    (0, 0, _decode_incremental_alter_configs_request_0),
    (1, 1, _decode_incremental_alter_configs_request_1),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[IncrementalAlterConfigsRequest], list[Buffer]]]] = encoders(
    (0, 0, _encode_incremental_alter_configs_request_0),
    (1, 1, _encode_incremental_alter_configs_request_1),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[IncrementalAlterConfigsResponse, int]]]] = decoders(
    (0, 0, _decode_incremental_alter_configs_response_0),
    (1, 1, _decode_incremental_alter_configs_response_1),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[IncrementalAlterConfigsResponse], list[Buffer]]]] = encoders(
    (0, 0, _encode_incremental_alter_configs_response_0),
    (1, 1, _encode_incremental_alter_configs_response_1),
)
