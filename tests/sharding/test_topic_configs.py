import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharding.errors import InvalidConfigError
from sharding.topic_configs import (
    OUR_NAMES,
    TOPIC_SETTINGS,
    changed_configs,
    check_configs,
    config_entries,
    integer_of,
    is_view_enabled,
    late_policy,
    schema_or_none,
)
from store.ticks import LatePolicy

SCHEMA = '{"price":"double","symbol":"string"}'


def test_every_default_passes_its_own_check() -> None:
    for setting in TOPIC_SETTINGS.values():
        if setting.default is not None:
            assert setting.check(setting.default) is None, setting.name
        assert setting.documentation.endswith((".", "].")), setting.name


def test_the_defaults_are_those_of_the_design() -> None:
    expected = {
        "split.ms": 3_600_000, "split.bytes": 256 << 20, "lateness.ms": 2_000, "idle.ms": 5_000,
        "clock.ahead.ms": 1_000, "tick.ms": 250, "message.timestamp.after.max.ms": 3_600_000, "retention.ms": -1,
    }  # fmt: skip
    assert {name: integer_of({}, name) for name in expected} == expected
    assert late_policy({}) is LatePolicy.ACCEPT


def test_what_is_ours_is_not_kafkas() -> None:
    assert {"split.ms", "lateness.ms", "schema", "view.enabled"} <= OUR_NAMES
    assert not {"retention.ms", "cleanup.policy", "local.retention.ms"} & OUR_NAMES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no.such.setting", "1"),
        ("split.ms", "soon"),
        ("split.ms", "1"),
        ("retention.ms", "-2"),
        ("cleanup.policy", "delete,burn"),
        ("late.policy", "ACCEPT"),
        ("min.cleanable.dirty.ratio", "1.5"),
        ("preallocate", "yes"),
        ("max.message.bytes", str(1 << 31)),
        ("schema", '{"price":"money"}'),
        ("schema", "price"),
        ("aggregates", '["price"]'),
    ],
)
def test_an_unknown_name_or_a_wrong_value_is_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidConfigError):
        check_configs({name: text})
    with pytest.raises(InvalidConfigError):
        changed_configs({}, {name: text})


def test_an_unknown_setting_cannot_even_be_deleted() -> None:
    with pytest.raises(InvalidConfigError):
        changed_configs({}, {"no.such.setting": None})


def test_views_of_a_compacted_topic_are_refused() -> None:
    check_configs({"cleanup.policy": "compact"})
    check_configs({"cleanup.policy": "compact", "schema": SCHEMA, "view.enabled": "false"})
    with pytest.raises(InvalidConfigError, match="compacted"):
        check_configs({"cleanup.policy": "compact,delete", "schema": SCHEMA})


def test_a_topic_with_a_schema_has_views_unless_told_otherwise() -> None:
    assert not is_view_enabled({})
    assert is_view_enabled({"schema": SCHEMA})
    assert not is_view_enabled({"schema": SCHEMA, "view.enabled": "false"})
    assert is_view_enabled({"view.enabled": "TRUE"})


def test_aggregates_must_be_attributes_of_the_schema() -> None:
    schema = schema_or_none({"schema": SCHEMA, "aggregates": '["price"]'})
    assert schema is not None
    assert list(schema.aggregates) == ["price"]
    with pytest.raises(InvalidConfigError):
        check_configs({"schema": SCHEMA, "aggregates": '["symbol"]'})


NAMES = st.sampled_from(["split.ms", "retention.ms", "tick.ms"])


@given(first=st.dictionaries(NAMES, st.just("5000")), changes=st.dictionaries(NAMES, st.sampled_from([None, "7000"])))
def test_a_change_touches_what_it_names_and_nothing_else(first: dict[str, str], changes: dict[str, str | None]) -> None:
    after = changed_configs(first, changes)
    for name in {*first, *changes}:
        assert after.get(name) == (changes[name] if name in changes else first.get(name))


def test_entries_show_value_default_type_and_meaning() -> None:
    entries = {entry.name: entry for entry in config_entries({"split.ms": "7000"})}
    assert set(entries) == set(TOPIC_SETTINGS)
    assert (entries["split.ms"].value, entries["split.ms"].is_default) == ("7000", False)
    assert (entries["retention.ms"].value, entries["retention.ms"].is_default) == ("-1", True)
    assert entries["view.enabled"].value == "false"
    assert entries["schema"].value is None
