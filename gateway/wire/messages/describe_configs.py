# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""DescribeConfigs, versions 1 to 4."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final

from ..primitives import (
    BYTE,
    Buffer,
    COMPACT_NULL,
    LEGACY_NULL,
    Message,
    absent,
    decoders,
    encoders,
    read_compact_count,
    read_compact_nullable_count,
    read_compact_nullable_string,
    read_compact_string,
    read_legacy_count,
    read_legacy_nullable_count,
    read_legacy_nullable_string,
    read_legacy_string,
    skip_tags,
    unsigned,
    write_compact_nullable_string,
    write_compact_string,
    write_legacy_nullable_string,
    write_legacy_string,
)

API_KEY: Final = 32
FLEXIBLE_FROM: Final[int | None] = 4

_t = Struct(">?")
_tt = Struct(">??")
_ttB = Struct(">??B")
_tbt = Struct(">?b?")
_b = Struct(">b")
_bB = Struct(">bB")
_h = Struct(">h")
_i = Struct(">i")

class DescribeConfigsResource(Message):
    __slots__ = ("resource_type", "resource_name", "configuration_keys")

    def __init__(
        self,
        resource_type: int = 0,
        resource_name: str = "",
        configuration_keys: Sequence[str] | None = (),
    ) -> None:
        self.resource_type = resource_type
        self.resource_name = resource_name
        self.configuration_keys = configuration_keys


class DescribeConfigsRequest(Message):
    __slots__ = ("resources", "include_synonyms", "include_documentation")

    def __init__(
        self,
        resources: Sequence[DescribeConfigsResource] = (),
        include_synonyms: bool = False,
        include_documentation: bool = False,
    ) -> None:
        self.resources = resources
        self.include_synonyms = include_synonyms
        self.include_documentation = include_documentation


class DescribeConfigsSynonym(Message):
    __slots__ = ("name", "value", "source")

    def __init__(self, name: str = "", value: str | None = "", source: int = 0) -> None:
        self.name = name
        self.value = value
        self.source = source


class DescribeConfigsResourceResult(Message):
    __slots__ = (
        "name",
        "value",
        "read_only",
        "config_source",
        "is_sensitive",
        "synonyms",
        "config_type",
        "documentation",
    )

    def __init__(
        self,
        name: str = "",
        value: str | None = "",
        read_only: bool = False,
        config_source: int = -1,
        is_sensitive: bool = False,
        synonyms: Sequence[DescribeConfigsSynonym] = (),
        config_type: int = 0,
        documentation: str | None = "",
    ) -> None:
        self.name = name
        self.value = value
        self.read_only = read_only
        self.config_source = config_source
        self.is_sensitive = is_sensitive
        self.synonyms = synonyms
        self.config_type = config_type
        self.documentation = documentation


class DescribeConfigsResult(Message):
    __slots__ = ("error_code", "error_message", "resource_type", "resource_name", "configs")

    def __init__(
        self,
        error_code: int = 0,
        error_message: str | None = "",
        resource_type: int = 0,
        resource_name: str = "",
        configs: Sequence[DescribeConfigsResourceResult] = (),
    ) -> None:
        self.error_code = error_code
        self.error_message = error_message
        self.resource_type = resource_type
        self.resource_name = resource_name
        self.configs = configs


class DescribeConfigsResponse(Message):
    __slots__ = ("throttle_time_ms", "results")

    def __init__(self, throttle_time_ms: int = 0, results: Sequence[DescribeConfigsResult] = ()) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.results = results


def _decode_describe_configs_resource_1(b, p, end):
    (resource_type,) = _b.unpack_from(b, p)
    p += 1
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        resource_name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        resource_name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_nullable_count(b, p, end, 2)
    if n < 0:
        configuration_keys = None
    else:
        configuration_keys = []
        append = configuration_keys.append
        for _ in range(n):
            item, p = read_legacy_string(b, p, end)
            append(item)
    return DescribeConfigsResource(resource_type, resource_name, configuration_keys), p


def _decode_describe_configs_request_1(b, p, end):
    n, p = read_legacy_count(b, p, end, 7)
    resources = []
    append = resources.append
    for _ in range(n):
        item, p = _decode_describe_configs_resource_1(b, p, end)
        append(item)
    (include_synonyms,) = _t.unpack_from(b, p)
    p += 1
    return DescribeConfigsRequest(resources, include_synonyms), p


def _decode_describe_configs_request_3(b, p, end):
    n, p = read_legacy_count(b, p, end, 7)
    resources = []
    append = resources.append
    for _ in range(n):
        item, p = _decode_describe_configs_resource_1(b, p, end)
        append(item)
    include_synonyms, include_documentation = _tt.unpack_from(b, p)
    p += 2
    return DescribeConfigsRequest(resources, include_synonyms, include_documentation), p


def _decode_describe_configs_resource_4(b, p, end):
    (resource_type,) = _b.unpack_from(b, p)
    p += 1
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        resource_name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        resource_name, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 1 < end - p:
        p += 1
    else:
        n, p = read_compact_nullable_count(b, p, end, 1)
    if n < 0:
        configuration_keys = None
    else:
        configuration_keys = []
        append = configuration_keys.append
        for _ in range(n):
            item, p = read_compact_string(b, p, end)
            append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeConfigsResource(resource_type, resource_name, configuration_keys), p


def _decode_describe_configs_request_4(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 4 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 4)
    resources = []
    append = resources.append
    for _ in range(n):
        item, p = _decode_describe_configs_resource_4(b, p, end)
        append(item)
    include_synonyms, include_documentation, tags = _ttB.unpack_from(b, p)
    p += 3
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeConfigsRequest(resources, include_synonyms, include_documentation), p


def _encode_describe_configs_resource_1(o, w):
    w(_b.pack(o.resource_type))
    write_legacy_string(w, o.resource_name)
    x = o.configuration_keys
    if x is None:
        w(LEGACY_NULL)
    else:
        w(_i.pack(len(x)))
        for item in x:
            write_legacy_string(w, item)


def _encode_describe_configs_request_1(o, w):
    if o.include_documentation:
        raise absent("DescribeConfigsRequest.include_documentation")
    x = o.resources
    w(_i.pack(len(x)))
    for item in x:
        _encode_describe_configs_resource_1(item, w)
    w(_t.pack(o.include_synonyms))


def _encode_describe_configs_request_3(o, w):
    x = o.resources
    w(_i.pack(len(x)))
    for item in x:
        _encode_describe_configs_resource_1(item, w)
    w(_tt.pack(o.include_synonyms, o.include_documentation))


def _encode_describe_configs_resource_4(o, w):
    w(_b.pack(o.resource_type))
    write_compact_string(w, o.resource_name)
    x = o.configuration_keys
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            write_compact_string(w, item)
    w(COMPACT_NULL)


def _encode_describe_configs_request_4(o, w):
    x = o.resources
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_configs_resource_4(item, w)
    w(_ttB.pack(o.include_synonyms, o.include_documentation, 0))


def _decode_describe_configs_synonym_1(b, p, end):
    name, p = read_legacy_string(b, p, end)
    value, p = read_legacy_nullable_string(b, p, end)
    (source,) = _b.unpack_from(b, p)
    p += 1
    return DescribeConfigsSynonym(name, value, source), p


def _decode_describe_configs_resource_result_1(b, p, end):
    name, p = read_legacy_string(b, p, end)
    value, p = read_legacy_nullable_string(b, p, end)
    read_only, config_source, is_sensitive = _tbt.unpack_from(b, p)
    p += 3
    n, p = read_legacy_count(b, p, end, 5)
    synonyms = []
    append = synonyms.append
    for _ in range(n):
        item, p = _decode_describe_configs_synonym_1(b, p, end)
        append(item)
    return DescribeConfigsResourceResult(name, value, read_only, config_source, is_sensitive, synonyms), p


def _decode_describe_configs_result_1(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    error_message, p = read_legacy_nullable_string(b, p, end)
    (resource_type,) = _b.unpack_from(b, p)
    p += 1
    resource_name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 11)
    configs = []
    append = configs.append
    for _ in range(n):
        item, p = _decode_describe_configs_resource_result_1(b, p, end)
        append(item)
    return DescribeConfigsResult(error_code, error_message, resource_type, resource_name, configs), p


def _decode_describe_configs_response_1(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 11)
    results = []
    append = results.append
    for _ in range(n):
        item, p = _decode_describe_configs_result_1(b, p, end)
        append(item)
    return DescribeConfigsResponse(throttle_time_ms, results), p


def _decode_describe_configs_resource_result_3(b, p, end):
    name, p = read_legacy_string(b, p, end)
    value, p = read_legacy_nullable_string(b, p, end)
    read_only, config_source, is_sensitive = _tbt.unpack_from(b, p)
    p += 3
    n, p = read_legacy_count(b, p, end, 5)
    synonyms = []
    append = synonyms.append
    for _ in range(n):
        item, p = _decode_describe_configs_synonym_1(b, p, end)
        append(item)
    (config_type,) = _b.unpack_from(b, p)
    p += 1
    documentation, p = read_legacy_nullable_string(b, p, end)
    return DescribeConfigsResourceResult(name, value, read_only, config_source, is_sensitive, synonyms, config_type, documentation), p


def _decode_describe_configs_result_3(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    error_message, p = read_legacy_nullable_string(b, p, end)
    (resource_type,) = _b.unpack_from(b, p)
    p += 1
    resource_name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 14)
    configs = []
    append = configs.append
    for _ in range(n):
        item, p = _decode_describe_configs_resource_result_3(b, p, end)
        append(item)
    return DescribeConfigsResult(error_code, error_message, resource_type, resource_name, configs), p


def _decode_describe_configs_response_3(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 11)
    results = []
    append = results.append
    for _ in range(n):
        item, p = _decode_describe_configs_result_3(b, p, end)
        append(item)
    return DescribeConfigsResponse(throttle_time_ms, results), p


def _decode_describe_configs_synonym_4(b, p, end):
    name, p = read_compact_string(b, p, end)
    value, p = read_compact_nullable_string(b, p, end)
    source, tags = _bB.unpack_from(b, p)
    p += 2
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeConfigsSynonym(name, value, source), p


def _decode_describe_configs_resource_result_4(b, p, end):
    name, p = read_compact_string(b, p, end)
    value, p = read_compact_nullable_string(b, p, end)
    read_only, config_source, is_sensitive = _tbt.unpack_from(b, p)
    p += 3
    n, p = read_compact_count(b, p, end, 4)
    synonyms = []
    append = synonyms.append
    for _ in range(n):
        item, p = _decode_describe_configs_synonym_4(b, p, end)
        append(item)
    (config_type,) = _b.unpack_from(b, p)
    p += 1
    documentation, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeConfigsResourceResult(name, value, read_only, config_source, is_sensitive, synonyms, config_type, documentation), p


def _decode_describe_configs_result_4(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    error_message, p = read_compact_nullable_string(b, p, end)
    (resource_type,) = _b.unpack_from(b, p)
    p += 1
    resource_name, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 9)
    configs = []
    append = configs.append
    for _ in range(n):
        item, p = _decode_describe_configs_resource_result_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeConfigsResult(error_code, error_message, resource_type, resource_name, configs), p


def _decode_describe_configs_response_4(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 7)
    results = []
    append = results.append
    for _ in range(n):
        item, p = _decode_describe_configs_result_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeConfigsResponse(throttle_time_ms, results), p


def _encode_describe_configs_synonym_1(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    write_legacy_nullable_string(w, o.value)
    w(_b.pack(o.source))


def _encode_describe_configs_resource_result_1(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    write_legacy_nullable_string(w, o.value)
    w(_tbt.pack(o.read_only, o.config_source, o.is_sensitive))
    x = o.synonyms
    w(_i.pack(len(x)))
    for item in x:
        _encode_describe_configs_synonym_1(item, w)


def _encode_describe_configs_result_1(o, w):
    w(_h.pack(o.error_code))
    write_legacy_nullable_string(w, o.error_message)
    w(_b.pack(o.resource_type))
    x = o.resource_name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.configs
    w(_i.pack(len(x)))
    for item in x:
        _encode_describe_configs_resource_result_1(item, w)


def _encode_describe_configs_response_1(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.results
    w(_i.pack(len(x)))
    for item in x:
        _encode_describe_configs_result_1(item, w)


def _encode_describe_configs_resource_result_3(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    write_legacy_nullable_string(w, o.value)
    w(_tbt.pack(o.read_only, o.config_source, o.is_sensitive))
    x = o.synonyms
    w(_i.pack(len(x)))
    for item in x:
        _encode_describe_configs_synonym_1(item, w)
    w(_b.pack(o.config_type))
    write_legacy_nullable_string(w, o.documentation)


def _encode_describe_configs_result_3(o, w):
    w(_h.pack(o.error_code))
    write_legacy_nullable_string(w, o.error_message)
    w(_b.pack(o.resource_type))
    x = o.resource_name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.configs
    w(_i.pack(len(x)))
    for item in x:
        _encode_describe_configs_resource_result_3(item, w)


def _encode_describe_configs_response_3(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.results
    w(_i.pack(len(x)))
    for item in x:
        _encode_describe_configs_result_3(item, w)


def _encode_describe_configs_synonym_4(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    write_compact_nullable_string(w, o.value)
    w(_bB.pack(o.source, 0))


def _encode_describe_configs_resource_result_4(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    write_compact_nullable_string(w, o.value)
    w(_tbt.pack(o.read_only, o.config_source, o.is_sensitive))
    x = o.synonyms
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_configs_synonym_4(item, w)
    w(_b.pack(o.config_type))
    write_compact_nullable_string(w, o.documentation)
    w(COMPACT_NULL)


def _encode_describe_configs_result_4(o, w):
    w(_h.pack(o.error_code))
    write_compact_nullable_string(w, o.error_message)
    w(_b.pack(o.resource_type))
    x = o.resource_name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.configs
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_configs_resource_result_4(item, w)
    w(COMPACT_NULL)


def _encode_describe_configs_response_4(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.results
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_configs_result_4(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DescribeConfigsRequest, int]]]] = decoders(
    (1, 2, _decode_describe_configs_request_1),
    (3, 3, _decode_describe_configs_request_3),
    (4, 4, _decode_describe_configs_request_4),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[DescribeConfigsRequest], list[Buffer]]]] = encoders(
    (1, 2, _encode_describe_configs_request_1),
    (3, 3, _encode_describe_configs_request_3),
    (4, 4, _encode_describe_configs_request_4),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DescribeConfigsResponse, int]]]] = decoders(
    (1, 2, _decode_describe_configs_response_1),
    (3, 3, _decode_describe_configs_response_3),
    (4, 4, _decode_describe_configs_response_4),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[DescribeConfigsResponse], list[Buffer]]]] = encoders(
    (1, 2, _encode_describe_configs_response_1),
    (3, 3, _encode_describe_configs_response_3),
    (4, 4, _encode_describe_configs_response_4),
)
