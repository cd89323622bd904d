"""What a topic lets in: size and time bounds of a batch, judged by the leader before it takes its place. Pure.

What idempotence says is `producers`; that the bytes are whole is `store.batches.check`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from store import errors as store_errors
from store.batches import RECORD_BYTES_MIN, BatchHeader, least_timestamp
from store.events import TIMESTAMP_MS_MIN
from store.ticks import LatePolicy

from .errors import (
    CorruptMessageError,
    InvalidRecordError,
    InvalidRequestError,
    InvalidTimestampError,
    MessageTooLargeError,
    UnsupportedCompressionError,
)
from .topic_configs import integer_of, is_view_enabled, late_policy, text_of

# What is parsed at admission keeps the loop waiting. Producers bound a batch before they compress it, mostly to 1 MiB.
PARSED_BYTES_MAX = 16 * 1024 * 1024
PARSED_RECORDS_MAX = 150_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPolicy:
    """A topic's settings as admission needs them, read once per change of the settings.

    `needs_least`: the least timestamp of each batch is computed (schema, view, reject, or a bound on old records).
    """

    batch_bytes_max: int
    after_max_ms: int
    before_max_ms: int
    is_log_append_time: bool
    needs_least: bool
    is_rejecting_late: bool

    @property
    def inflated_bytes_max(self) -> int:
        """Of a batch whose records are parsed; more is a bomb."""
        return max(PARSED_BYTES_MAX, self.batch_bytes_max)

    @property
    def parsed_records_max(self) -> int:
        """Of a batch whose records are parsed; never fewer than fit without compression."""
        return max(PARSED_RECORDS_MAX, self.batch_bytes_max // RECORD_BYTES_MIN)

    @staticmethod
    def of(configs: Mapping[str, str]) -> "TopicPolicy":
        is_rejecting = late_policy(configs) is LatePolicy.REJECT
        return TopicPolicy(
            batch_bytes_max=integer_of(configs, "max.message.bytes"),
            after_max_ms=integer_of(configs, "message.timestamp.after.max.ms"),
            before_max_ms=integer_of(configs, "message.timestamp.before.max.ms"),
            is_log_append_time=text_of(configs, "message.timestamp.type") == "LogAppendTime",
            needs_least=(
                "schema" in configs
                or is_view_enabled(configs)
                or is_rejecting
                or "message.timestamp.before.max.ms" in configs
            ),
            is_rejecting_late=is_rejecting,
        )


def check_batch(policy: TopicPolicy, batch: memoryview, header: BatchHeader, *, now_ms: int, fence_ms: int) -> int:
    """The least timestamp of a batch that may enter; TIMESTAMP_MS_MIN if the topic does not need it.

    Raises: MessageTooLargeError, InvalidTimestampError, InvalidRequestError, InvalidRecordError, CorruptMessageError,
    UnsupportedCompressionError.
    """
    if len(batch) > policy.batch_bytes_max:
        raise MessageTooLargeError(f"batch of {len(batch)} bytes, at most {policy.batch_bytes_max}")
    if header.attributes & 0x30:
        if header.is_control:
            raise InvalidRecordError("a control batch from a client")
        raise InvalidRequestError("transactions are not supported yet")
    if policy.is_log_append_time:
        _refuse_late(policy, now_ms, fence_ms)
        return now_ms
    if header.is_log_append_time:
        raise InvalidTimestampError("log-append time from a producer, to a topic with create time")
    greatest_ms = header.max_timestamp_ms
    if greatest_ms > now_ms + policy.after_max_ms:
        raise InvalidTimestampError(
            f"timestamp {greatest_ms} is {greatest_ms - now_ms} ms ahead of the clock, at most {policy.after_max_ms}"
        )
    if not policy.needs_least:
        return TIMESTAMP_MS_MIN
    least_ms = _least(policy, batch, header)
    if least_ms < now_ms - policy.before_max_ms:
        raise InvalidTimestampError(
            f"timestamp {least_ms} is {now_ms - least_ms} ms behind the clock, at most {policy.before_max_ms}"
        )
    _refuse_late(policy, least_ms, fence_ms)
    return least_ms


def _refuse_late(policy: TopicPolicy, least_ms: int, fence_ms: int) -> None:
    if policy.is_rejecting_late and least_ms <= fence_ms:
        raise InvalidTimestampError(f"timestamp {least_ms} is late: the topic is final up to {fence_ms}")


def _least(policy: TopicPolicy, batch: memoryview, header: BatchHeader) -> int:
    if header.record_count > policy.parsed_records_max:
        raise MessageTooLargeError(f"batch of {header.record_count} records, at most {policy.parsed_records_max}")
    try:
        return least_timestamp(batch, header, policy.inflated_bytes_max)
    except store_errors.InflatedTooLargeError as error:
        # Producers that can answer this by smaller batches.
        raise MessageTooLargeError(str(error)) from error
    except store_errors.InvalidRecordError as error:
        raise InvalidRecordError(str(error)) from error
    except store_errors.UnsupportedCompressionError as error:
        raise UnsupportedCompressionError(str(error)) from error
    except store_errors.BatchError as error:
        raise CorruptMessageError(str(error)) from error
