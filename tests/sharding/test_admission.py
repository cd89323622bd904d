import pytest

from sharding.admission import PARSED_BYTES_MAX, PARSED_RECORDS_MAX, TopicPolicy, check_batch
from sharding.errors import (
    CorruptMessageError,
    InvalidRecordError,
    InvalidRequestError,
    InvalidTimestampError,
    MessageTooLargeError,
)
from store.batches import Producer, build, build_marker, read_header, stamp_append_time
from store.compression import Compression
from store.events import TIMESTAMP_MS_MIN, Record

NOW = 1_000_000_000_000
HOUR = 3_600_000


def judged(*timestamps: int, fence_ms: int = TIMESTAMP_MS_MIN, now_ms: int = NOW, **configs: str) -> int:
    policy = TopicPolicy.of({name.replace("_", "."): text for name, text in configs.items()})
    batch = memoryview(build([Record(i, ts, None, b"v") for i, ts in enumerate(timestamps)], base_offset=0))
    return check_batch(policy, batch, read_header(batch), now_ms=now_ms, fence_ms=fence_ms)


def test_a_topic_without_schema_pays_for_no_least_timestamp() -> None:
    assert judged(NOW, NOW - 5) == TIMESTAMP_MS_MIN


@pytest.mark.parametrize(
    "configs",
    [{"schema": '{"a":"long"}'}, {"view_enabled": "true"}, {"late_policy": "reject"}],
    ids=lambda one: str(*one),
)
def test_schema_view_and_reject_need_the_exact_least_timestamp(configs: dict[str, str]) -> None:
    assert judged(NOW, NOW - 5, NOW - 1, **configs) == NOW - 5


def test_a_timestamp_may_be_an_hour_ahead_and_no_more() -> None:
    judged(NOW + HOUR)
    with pytest.raises(InvalidTimestampError, match="ahead of the clock"):
        judged(NOW, NOW + HOUR + 1)
    judged(NOW + 9 * HOUR, message_timestamp_after_max_ms=str(9 * HOUR))


def test_a_bound_on_old_records_looks_at_each_record() -> None:
    judged(NOW, NOW - 10 * HOUR)
    with pytest.raises(InvalidTimestampError, match="behind the clock"):
        judged(NOW, NOW - HOUR - 1, message_timestamp_before_max_ms=str(HOUR))


def test_reject_refuses_the_whole_batch_for_one_record_at_or_before_the_fence() -> None:
    assert judged(NOW, NOW - 4, fence_ms=NOW - 5, late_policy="reject") == NOW - 4
    with pytest.raises(InvalidTimestampError, match="late"):
        judged(NOW, NOW - 5, fence_ms=NOW - 5, late_policy="reject")
    assert judged(NOW, NOW - 5, fence_ms=NOW - 5, late_policy="side", view_enabled="true") == NOW - 5


def test_log_append_time_replaces_whatever_the_producer_said() -> None:
    assert judged(NOW + 9 * HOUR, message_timestamp_type="LogAppendTime") == NOW
    with pytest.raises(InvalidTimestampError, match="late"):
        judged(0, fence_ms=NOW, message_timestamp_type="LogAppendTime", late_policy="reject")


def test_a_producer_may_not_claim_log_append_time_where_create_time_holds() -> None:
    batch = bytearray(build([Record(0, NOW, None, b"v")], base_offset=0))
    header = stamp_append_time(batch, read_header(batch), NOW)
    with pytest.raises(InvalidTimestampError):
        check_batch(TopicPolicy.of({}), memoryview(batch), header, now_ms=NOW, fence_ms=0)


def test_a_batch_of_more_than_max_message_bytes_is_refused() -> None:
    judged(NOW, max_message_bytes="69")
    with pytest.raises(MessageTooLargeError, match="at most 68"):
        judged(NOW, max_message_bytes="68")


def test_transactions_and_control_batches_are_refused() -> None:
    policy = TopicPolicy.of({})
    producer = Producer(1, 0, 0, is_transactional=True)
    batch = memoryview(build([Record(0, NOW, None, b"v")], base_offset=0, producer=producer))
    with pytest.raises(InvalidRequestError, match="transactions"):
        check_batch(policy, batch, read_header(batch), now_ms=NOW, fence_ms=0)
    marker = memoryview(build_marker(0, NOW, producer, is_commit=True, coordinator_epoch=0))
    with pytest.raises(InvalidRecordError):
        check_batch(policy, marker, read_header(marker), now_ms=NOW, fence_ms=0)


def test_records_that_cannot_be_read_are_the_peers_fault() -> None:
    batch = bytearray(build([Record(0, NOW, None, b"value")], base_offset=0))
    batch[61] = 0x7F
    with pytest.raises((CorruptMessageError, InvalidRecordError)):
        check_batch(
            TopicPolicy.of({"view.enabled": "true"}), memoryview(batch), read_header(batch), now_ms=NOW, fence_ms=0
        )


@pytest.mark.parametrize(
    ("record_count", "value_bytes", "reason"),
    [(PARSED_RECORDS_MAX + 1, 0, "records, at most"), (20, PARSED_BYTES_MAX // 20, "inflates to more")],
    ids=["records", "bytes"],
)
def test_a_batch_that_would_keep_the_loop_busy_for_long_is_refused(
    record_count: int, value_bytes: int, reason: str
) -> None:
    rows = [Record(i, NOW, None, bytes(value_bytes)) for i in range(record_count)]
    batch = memoryview(build(rows, base_offset=0, compression=Compression.GZIP))
    stored = TopicPolicy.of({})
    check_batch(stored, batch, read_header(batch), now_ms=NOW, fence_ms=TIMESTAMP_MS_MIN)
    parsed = TopicPolicy.of({"view.enabled": "true"})
    with pytest.raises(MessageTooLargeError, match=reason):
        check_batch(parsed, batch, read_header(batch), now_ms=NOW, fence_ms=TIMESTAMP_MS_MIN)
    larger = TopicPolicy.of({"view.enabled": "true", "max.message.bytes": str(2 * PARSED_BYTES_MAX)})
    assert check_batch(larger, batch, read_header(batch), now_ms=NOW, fence_ms=TIMESTAMP_MS_MIN) == NOW
