# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""ApiVersions, versions 0 to 4."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final

from ..primitives import (
    BYTE,
    Buffer,
    COMPACT_NULL,
    Message,
    check_tag_end,
    decoders,
    encoders,
    read_compact_count,
    read_compact_string,
    read_legacy_count,
    read_tag,
    read_unsigned,
    skip_tags,
    unsigned,
    write_compact_string,
    write_tags,
)

API_KEY: Final = 18
FLEXIBLE_FROM: Final[int | None] = 3

_t = Struct(">?")
_h = Struct(">h")
_hhB = Struct(">hhB")
_hhh = Struct(">hhh")
_hhhB = Struct(">hhhB")
_i = Struct(">i")
_iB = Struct(">iB")
_q = Struct(">q")

class ApiVersionsRequest(Message):
    __slots__ = ("client_software_name", "client_software_version")

    def __init__(self, client_software_name: str = "", client_software_version: str = "") -> None:
        self.client_software_name = client_software_name
        self.client_software_version = client_software_version


class FinalizedFeatureKey(Message):
    __slots__ = ("name", "max_version_level", "min_version_level")

    def __init__(self, name: str = "", max_version_level: int = 0, min_version_level: int = 0) -> None:
        self.name = name
        self.max_version_level = max_version_level
        self.min_version_level = min_version_level


class SupportedFeatureKey(Message):
    __slots__ = ("name", "min_version", "max_version")

    def __init__(self, name: str = "", min_version: int = 0, max_version: int = 0) -> None:
        self.name = name
        self.min_version = min_version
        self.max_version = max_version


class ApiVersion(Message):
    __slots__ = ("api_key", "min_version", "max_version")

    def __init__(self, api_key: int = 0, min_version: int = 0, max_version: int = 0) -> None:
        self.api_key = api_key
        self.min_version = min_version
        self.max_version = max_version


class ApiVersionsResponse(Message):
    __slots__ = (
        "error_code",
        "api_keys",
        "throttle_time_ms",
        "supported_features",
        "finalized_features_epoch",
        "finalized_features",
        "zk_migration_ready",
    )

    def __init__(
        self,
        error_code: int = 0,
        api_keys: Sequence[ApiVersion] = (),
        throttle_time_ms: int = 0,
        supported_features: Sequence[SupportedFeatureKey] = (),
        finalized_features_epoch: int = -1,
        finalized_features: Sequence[FinalizedFeatureKey] = (),
        zk_migration_ready: bool = False,
    ) -> None:
        self.error_code = error_code
        self.api_keys = api_keys
        self.throttle_time_ms = throttle_time_ms
        self.supported_features = supported_features
        self.finalized_features_epoch = finalized_features_epoch
        self.finalized_features = finalized_features
        self.zk_migration_ready = zk_migration_ready


def _decode_api_versions_request_0(b, p, end):
    return ApiVersionsRequest(), p


def _decode_api_versions_request_3(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        client_software_name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        client_software_name, p = read_compact_string(b, p, end)
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        client_software_version = str(b[p + 1:q], "utf-8")
        p = q
    else:
        client_software_version, p = read_compact_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ApiVersionsRequest(client_software_name, client_software_version), p


def _encode_api_versions_request_0(o, w):
    pass


def _encode_api_versions_request_3(o, w):
    write_compact_string(w, o.client_software_name)
    write_compact_string(w, o.client_software_version)
    w(COMPACT_NULL)


def _decode_api_version_0(b, p, end):
    api_key, min_version, max_version = _hhh.unpack_from(b, p)
    p += 6
    return ApiVersion(api_key, min_version, max_version), p


def _decode_api_versions_response_0(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    n, p = read_legacy_count(b, p, end, 6)
    api_keys = []
    append = api_keys.append
    for _ in range(n):
        item, p = _decode_api_version_0(b, p, end)
        append(item)
    return ApiVersionsResponse(error_code, api_keys), p


def _decode_api_versions_response_1(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    n, p = read_legacy_count(b, p, end, 6)
    api_keys = []
    append = api_keys.append
    for _ in range(n):
        item, p = _decode_api_version_0(b, p, end)
        append(item)
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    return ApiVersionsResponse(error_code, api_keys, throttle_time_ms), p


def _decode_api_version_3(b, p, end):
    api_key, min_version, max_version, tags = _hhhB.unpack_from(b, p)
    p += 7
    if tags:
        p = skip_tags(b, p - 1, end)
    return ApiVersion(api_key, min_version, max_version), p


def _decode_supported_feature_key_3(b, p, end):
    name, p = read_compact_string(b, p, end)
    min_version, max_version, tags = _hhB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return SupportedFeatureKey(name, min_version, max_version), p


def _decode_finalized_feature_key_3(b, p, end):
    name, p = read_compact_string(b, p, end)
    max_version_level, min_version_level, tags = _hhB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return FinalizedFeatureKey(name, max_version_level, min_version_level), p


def _decode_api_versions_response_3(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    n, p = read_compact_count(b, p, end, 7)
    api_keys = []
    append = api_keys.append
    for _ in range(n):
        item, p = _decode_api_version_3(b, p, end)
        append(item)
    throttle_time_ms, tags = _iB.unpack_from(b, p)
    p += 5
    supported_features = ()
    finalized_features_epoch = -1
    finalized_features = ()
    zk_migration_ready = False
    if tags:
        tags, p = read_unsigned(b, p - 1, end)
        for _ in range(tags):
            tag, p, stop = read_tag(b, p, end)
            if tag == 0:
                n, p = read_compact_count(b, p, stop, 6)
                supported_features = []
                append = supported_features.append
                for _ in range(n):
                    item, p = _decode_supported_feature_key_3(b, p, stop)
                    append(item)
                check_tag_end(p, stop)
            elif tag == 1:
                (finalized_features_epoch,) = _q.unpack_from(b, p)
                p += 8
                check_tag_end(p, stop)
            elif tag == 2:
                n, p = read_compact_count(b, p, stop, 6)
                finalized_features = []
                append = finalized_features.append
                for _ in range(n):
                    item, p = _decode_finalized_feature_key_3(b, p, stop)
                    append(item)
                check_tag_end(p, stop)
            elif tag == 3:
                (zk_migration_ready,) = _t.unpack_from(b, p)
                p += 1
                check_tag_end(p, stop)
            p = stop
    return ApiVersionsResponse(error_code, api_keys, throttle_time_ms, supported_features, finalized_features_epoch, finalized_features, zk_migration_ready), p


def _encode_api_version_0(o, w):
    w(_hhh.pack(o.api_key, o.min_version, o.max_version))


def _encode_api_versions_response_0(o, w):
    w(_h.pack(o.error_code))
    x = o.api_keys
    w(_i.pack(len(x)))
    for item in x:
        _encode_api_version_0(item, w)


def _encode_api_versions_response_1(o, w):
    w(_h.pack(o.error_code))
    x = o.api_keys
    w(_i.pack(len(x)))
    for item in x:
        _encode_api_version_0(item, w)
    w(_i.pack(o.throttle_time_ms))


def _encode_api_version_3(o, w):
    w(_hhhB.pack(o.api_key, o.min_version, o.max_version, 0))


def _encode_supported_feature_key_3(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_hhB.pack(o.min_version, o.max_version, 0))


def _encode_finalized_feature_key_3(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_hhB.pack(o.max_version_level, o.min_version_level, 0))


def _encode_api_versions_response_3(o, w):
    w(_h.pack(o.error_code))
    x = o.api_keys
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_api_version_3(item, w)
    w(_i.pack(o.throttle_time_ms))
    tags = []
    if o.supported_features:
        inner = []
        outer, w = w, inner.append
        x = o.supported_features
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_supported_feature_key_3(item, w)
        w = outer
        tags.append((0, inner))
    if o.finalized_features_epoch != -1:
        inner = []
        outer, w = w, inner.append
        w(_q.pack(o.finalized_features_epoch))
        w = outer
        tags.append((1, inner))
    if o.finalized_features:
        inner = []
        outer, w = w, inner.append
        x = o.finalized_features
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_finalized_feature_key_3(item, w)
        w = outer
        tags.append((2, inner))
    if o.zk_migration_ready:
        inner = []
        outer, w = w, inner.append
        w(_t.pack(o.zk_migration_ready))
        w = outer
        tags.append((3, inner))
    if tags:
        write_tags(w, tags)
    else:
        w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[ApiVersionsRequest, int]]]] = decoders(
    (0, 2, _decode_api_versions_request_0),
    (3, 4, _decode_api_versions_request_3),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[ApiVersionsRequest], list[Buffer]]]] = encoders(
    (0, 2, _encode_api_versions_request_0),
    (3, 4, _encode_api_versions_request_3),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[ApiVersionsResponse, int]]]] = decoders(
    (0, 0, _decode_api_versions_response_0),
    (1, 2, _decode_api_versions_response_1),
    (3, 4, _decode_api_versions_response_3),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[ApiVersionsResponse], list[Buffer]]]] = encoders(
    (0, 0, _encode_api_versions_response_0),
    (1, 2, _encode_api_versions_response_1),
    (3, 4, _encode_api_versions_response_3),
)
