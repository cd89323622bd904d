import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import schema as schema_module
from store.blocks import Column
from store.errors import InvalidSchemaError
from store.schema import ATTRIBUTE_COUNT_MAX, AttributeDecoder, AttributeType, Schema, timestamp_ms_or_none

ALL_TYPES = Schema.of({"l": "long", "d": "double", "s": "string", "b": "boolean", "t": "timestamp"}, ["l", "d", "t"])

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**66), 2**66)
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
rows = st.dictionaries(st.sampled_from("ldsbtx"), json_values, max_size=6)


def plain(column: Column) -> list[object]:
    nulls = np.zeros(len(column), np.bool_) if column.is_null is None else column.is_null
    words = column.words
    return [
        None if is_null else value if words is None else words[value]
        for value, is_null in zip(column.values.tolist(), nulls.tolist(), strict=True)
    ]


def expected(kind: AttributeType, value: object) -> object:
    """The rules of the module, said once more in the plainest way."""
    is_int = type(value) is int and -(2**63) <= value < 2**63
    match kind:
        case AttributeType.LONG:
            return value if is_int else None
        case AttributeType.TIMESTAMP:
            return value if is_int else timestamp_ms_or_none(value) if type(value) is str else None
        case AttributeType.DOUBLE:
            return float(value) if type(value) in (int, float) else None
        case AttributeType.BOOLEAN:
            return value if type(value) is bool else None
        case AttributeType.STRING:
            return value if type(value) is str else None


@given(st.lists(rows, max_size=30), st.booleans())
def test_decoding_equals_reading_value_by_value(objects: list[dict[str, object]], is_ascii: bool) -> None:
    values = [json.dumps(row, ensure_ascii=is_ascii).encode("utf-8", "replace") for row in objects]
    columns, not_json_count = AttributeDecoder(ALL_TYPES).decode(values)
    assert not_json_count == 0
    for name, kind in ALL_TYPES.attributes.items():
        assert plain(columns[name]) == [expected(kind, row.get(name)) for row in objects]


@given(st.lists(rows, min_size=1, max_size=8), st.lists(rows, min_size=1, max_size=8))
def test_words_keep_their_codes_over_calls(first: list[dict[str, object]], second: list[dict[str, object]]) -> None:
    decoder = AttributeDecoder(ALL_TYPES)
    before, _ = decoder.decode([json.dumps(row).encode() for row in first])
    seen = plain(before["s"])
    after, _ = decoder.decode([json.dumps(row).encode() for row in second])
    assert after["s"].words is before["s"].words
    assert plain(before["s"]) == seen


def test_full_word_list_is_left_to_its_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_module, "WORD_COUNT_MAX", 2)
    decoder = AttributeDecoder(ALL_TYPES)
    old, _ = decoder.decode([b'{"s":"a"}', b'{"s":"b"}', b'{"s":"c"}'])
    new, _ = decoder.decode([b'{"s":"c"}', b'{"s":"a"}'])
    assert (plain(old["s"]), plain(new["s"])) == (["a", "b", "c"], ["c", "a"])
    assert new["s"].words == ["c", "a"]


@pytest.mark.parametrize(
    "value", [None, b"", b"[1]", b"1", b'"x"', b"null", b'{"l":1', b"\xff", b'{"l":NaN}', b"[" * 9999]
)
def test_value_that_is_no_object_is_all_null_and_counted(value: bytes | None) -> None:
    columns, not_json_count = AttributeDecoder(ALL_TYPES).decode([b'{"l":1,"s":"a"}', value])
    assert not_json_count == 1
    assert [plain(columns[name])[1] for name in ALL_TYPES.attributes] == [None] * 5
    assert plain(columns["l"])[0] == 1


@given(
    at=st.integers(0, 200),
    byte=st.sampled_from(b'{}[]",:ux0e1-.+nt \xff\x80\x01'),
    text=st.sampled_from(("x", "\u20ac")),
)
def test_damaged_value_is_read_as_json_or_not_at_all(at: int, byte: int, text: str) -> None:
    whole = json.dumps({"l": 12, "s": text, "z": [1, {"q": None}], "d": -1.5, "b": True}, ensure_ascii=False).encode()
    value = bytearray(whole)
    value[at % len(value)] = byte
    columns, not_json_count = AttributeDecoder(ALL_TYPES).decode([bytes(value)])
    try:
        row = json.loads(value.decode("utf-8"), parse_constant=int)
    except ValueError:
        row = None
    assert not_json_count == (not isinstance(row, dict))
    for name, kind in ALL_TYPES.attributes.items():
        assert plain(columns[name]) == [expected(kind, row.get(name) if isinstance(row, dict) else None)]


def test_names_need_not_be_names_in_python() -> None:
    schema = Schema.of({"a.b": "long", "a-b": "long", "class": "long"})
    columns, _ = AttributeDecoder(schema).decode([b'{"a.b":1,"a-b":2,"class":3}', b'{"a-b":[4],"class":5}'])
    assert [plain(columns[name]) for name in schema.attributes] == [[1, None], [2, None], [3, 5]]


def test_column_without_nulls_says_so() -> None:
    columns, _ = AttributeDecoder(ALL_TYPES).decode([b'{"l":1,"d":2,"s":"a","b":true,"t":5}'] * 3)
    assert [column.is_null for column in columns.values()] == [None] * 5
    assert [column.values.dtype for column in columns.values()] == [np.int64, np.float64, np.int32, np.bool_, np.int64]


def test_null_holds_zero() -> None:
    columns, _ = AttributeDecoder(ALL_TYPES).decode([b"{}", b'{"l":7,"d":7,"s":"a","b":true,"t":7}'])
    for column in columns.values():
        assert column.is_null is not None
        assert column.is_null.tolist() == [True, False]
        assert column.values[0] == 0


def test_unsigned_integer_beyond_int64_is_null() -> None:
    columns, _ = AttributeDecoder(ALL_TYPES).decode([b'{"l":9223372036854775807,"t":1}', b'{"l":9223372036854775808}'])
    assert plain(columns["l"]) == [2**63 - 1, None]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("2024-02-29T12:00:00.123456789+02:00", 1_709_200_800_123),
        ("2024-02-29t12:00:00z", 1_709_208_000_000),
        ("2024-02-29 12:00:00-00:30", 1_709_209_800_000),
    ],
)
def test_rfc_3339_becomes_milliseconds_rounded_down(text: str, milliseconds: int) -> None:
    assert timestamp_ms_or_none(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024",
        "2024-02-29",
        "2024-02-29T12:00:00",
        "20240229T120000Z",
        "2023-02-29T12:00:00Z",
        "2024-02-29T25:00:00Z",
        "12",
    ],
)
def test_other_strings_are_no_timestamps(text: str) -> None:
    assert timestamp_ms_or_none(text) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_any_utc_time_is_read(moment: datetime) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    difference = moment - epoch
    exact = difference.days * 86_400_000 + difference.seconds * 1000 + difference.microseconds // 1000
    assert timestamp_ms_or_none(moment.isoformat()) == exact


def test_schema_text_is_read_back() -> None:
    assert Schema.parse(ALL_TYPES.schema_text(), ALL_TYPES.aggregates_text()) == ALL_TYPES
    assert list(Schema.parse(ALL_TYPES.schema_text()).attributes) == ["l", "d", "s", "b", "t"]


@pytest.mark.parametrize(
    ("attributes", "aggregates"),
    [
        ({}, []),
        ({f"a{i}": "long" for i in range(ATTRIBUTE_COUNT_MAX + 1)}, []),
        ({"a": "int"}, []),
        ({"": "long"}, []),
        ({"_ts": "long"}, []),
        ({"a b": "long"}, []),
        ({"sum(a)": "long"}, []),
        ({"a" * 129: "long"}, []),
        ({"a": "long", "A": "long"}, []),
        ({"a": "long"}, ["b"]),
        ({"a": "string"}, ["a"]),
        ({"a": "boolean"}, ["a"]),
        ({"a": "long"}, ["a", "a"]),
    ],
)
def test_wrong_schema_is_refused(attributes: dict[str, str], aggregates: list[str]) -> None:
    with pytest.raises(InvalidSchemaError):
        Schema.of(attributes, aggregates)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": {"type": "long"}}', "\ud800"])
def test_text_that_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(InvalidSchemaError):
        Schema.parse(text)


def test_aggregates_text_must_be_a_list() -> None:
    with pytest.raises(InvalidSchemaError):
        Schema.parse('{"a": "long"}', '"a"')
