# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""InitProducerId, versions 0 to 5."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from ..primitives import (
    Buffer,
    Message,
    absent,
    decoders,
    encoders,
    read_compact_nullable_string,
    read_legacy_nullable_string,
    skip_tags,
    write_compact_nullable_string,
    write_legacy_nullable_string,
)

API_KEY: Final = 22
FLEXIBLE_FROM: Final[int | None] = 2

_h = Struct(">h")
_i = Struct(">i")
_iB = Struct(">iB")
_ihqh = Struct(">ihqh")
_ihqhB = Struct(">ihqhB")
_iqhB = Struct(">iqhB")

class InitProducerIdRequest(Message):
    __slots__ = ("transactional_id", "transaction_timeout_ms", "producer_id", "producer_epoch")

    def __init__(
        self,
        transactional_id: str | None = "",
        transaction_timeout_ms: int = 0,
        producer_id: int = -1,
        producer_epoch: int = -1,
    ) -> None:
        self.transactional_id = transactional_id
        self.transaction_timeout_ms = transaction_timeout_ms
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch


class InitProducerIdResponse(Message):
    __slots__ = ("throttle_time_ms", "error_code", "producer_id", "producer_epoch")

    def __init__(
        self,
        throttle_time_ms: int = 0,
        error_code: int = 0,
        producer_id: int = -1,
        producer_epoch: int = 0,
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.error_code = error_code
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch


def _decode_init_producer_id_request_0(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        transactional_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        transactional_id, p = read_legacy_nullable_string(b, p, end)
    (transaction_timeout_ms,) = _i.unpack_from(b, p)
    p += 4
    return InitProducerIdRequest(transactional_id, transaction_timeout_ms), p


def _decode_init_producer_id_request_2(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        transactional_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        transactional_id, p = read_compact_nullable_string(b, p, end)
    transaction_timeout_ms, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return InitProducerIdRequest(transactional_id, transaction_timeout_ms), p


def _decode_init_producer_id_request_3(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        transactional_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        transactional_id, p = read_compact_nullable_string(b, p, end)
    transaction_timeout_ms, producer_id, producer_epoch, tags = _iqhB.unpack_from(b, p)
    p += 15
    if tags:
        p = skip_tags(b, p - 1, end)
    return InitProducerIdRequest(transactional_id, transaction_timeout_ms, producer_id, producer_epoch), p


def _encode_init_producer_id_request_0(o, w):
    if o.producer_id != -1:
        raise absent("InitProducerIdRequest.producer_id")
    if o.producer_epoch != -1:
        raise absent("InitProducerIdRequest.producer_epoch")
    write_legacy_nullable_string(w, o.transactional_id)
    w(_i.pack(o.transaction_timeout_ms))


def _encode_init_producer_id_request_2(o, w):
    if o.producer_id != -1:
        raise absent("InitProducerIdRequest.producer_id")
    if o.producer_epoch != -1:
        raise absent("InitProducerIdRequest.producer_epoch")
    write_compact_nullable_string(w, o.transactional_id)
    w(_iB.pack(o.transaction_timeout_ms, 0))


def _encode_init_producer_id_request_3(o, w):
    write_compact_nullable_string(w, o.transactional_id)
    w(_iqhB.pack(o.transaction_timeout_ms, o.producer_id, o.producer_epoch, 0))


def _decode_init_producer_id_response_0(b, p, end):
    throttle_time_ms, error_code, producer_id, producer_epoch = _ihqh.unpack_from(b, p)
    p += 16
    return InitProducerIdResponse(throttle_time_ms, error_code, producer_id, producer_epoch), p


def _decode_init_producer_id_response_2(b, p, end):
    throttle_time_ms, error_code, producer_id, producer_epoch, tags = _ihqhB.unpack_from(b, p)
    p += 17
    if tags:
        p = skip_tags(b, p - 1, end)
    return InitProducerIdResponse(throttle_time_ms, error_code, producer_id, producer_epoch), p


def _encode_init_producer_id_response_0(o, w):
    w(_ihqh.pack(o.throttle_time_ms, o.error_code, o.producer_id, o.producer_epoch))


def _encode_init_producer_id_response_2(o, w):
    w(_ihqhB.pack(o.throttle_time_ms, o.error_code, o.producer_id, o.producer_epoch, 0))


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[InitProducerIdRequest, int]]]] = decoders(
    (0, 1, _decode_init_producer_id_request_0),
    (2, 2, _decode_init_producer_id_request_2),
    (3, 5, _decode_init_producer_id_request_3),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[InitProducerIdRequest], list[Buffer]]]] = encoders(
    (0, 1, _encode_init_producer_id_request_0),
    (2, 2, _encode_init_producer_id_request_2),
    (3, 5, _encode_init_producer_id_request_3),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[InitProducerIdResponse, int]]]] = decoders(
    (0, 1, _decode_init_producer_id_response_0),
    (2, 5, _decode_init_producer_id_response_2),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[InitProducerIdResponse], list[Buffer]]]] = encoders(
    (0, 1, _encode_init_producer_id_response_0),
    (2, 5, _encode_init_producer_id_response_2),
)
