"""The committed messages are what the generator makes of Kafka's schemas today."""

import os
import zipfile
from pathlib import Path

import pytest

from gateway.wire import generate
from gateway.wire.apis import SPOKEN_APIS
from gateway.wire.emitter import ModuleEmitter
from gateway.wire.errors import GenerateError
from gateway.wire.schemas import Versions, parse_schema, snake


@pytest.fixture(scope="session")
def jar() -> Path:
    try:
        return generate.fetched_jar()
    except GenerateError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.mark.timeout(generate.FETCH_SECONDS_MAX)
def test_generated_messages_are_up_to_date(jar: Path) -> None:
    assert generate.stale_files(generate.generated_modules(jar)) == []


def test_check_reports_a_changed_a_missing_and_a_left_over_file(
    jar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "MESSAGES", tmp_path)
    assert generate.main(["--jar", str(jar)]) == 0
    assert generate.main(["--jar", str(jar), "--check"]) == 0
    (tmp_path / "fetch.py").write_text("changed")
    (tmp_path / "produce.py").unlink()
    (tmp_path / "left_over.py").write_text("")
    assert generate.main(["--jar", str(jar), "--check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "fetch.py is out of date",
        "left_over.py is out of date",
        "produce.py is out of date",
    ]
    assert generate.main(["--jar", str(jar)]) == 0
    assert generate.main(["--jar", str(jar), "--check"]) == 0


def test_a_jar_that_cannot_be_fetched_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert generate.main(["--check"]) == 2
    assert "there is no mvn" in capsys.readouterr().err


def test_a_file_that_is_no_jar_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jar = tmp_path / "no.jar"
    assert generate.main(["--check", "--jar", str(jar)]) == 2
    jar.write_bytes(b"not a jar")
    assert generate.main(["--check", "--jar", str(jar)]) == 2
    assert capsys.readouterr().err.count("holds no readable schemas") == 2


def test_versions_outside_the_schema_are_refused(jar: Path) -> None:
    with zipfile.ZipFile(jar) as archive, pytest.raises(GenerateError, match="has versions 3 to 13, not 0 to 12"):
        generate._module(archive, SPOKEN_APIS[0]._replace(first=0), "4.3.1")
    with zipfile.ZipFile(jar) as archive, pytest.raises(GenerateError, match="has key 0, not 5"):
        generate._module(archive, SPOKEN_APIS[0]._replace(key=5), "4.3.1")


def test_apis_stand_once_and_by_rising_key() -> None:
    keys = [api.key for api in SPOKEN_APIS]
    assert keys == sorted(set(keys))
    assert all(0 <= api.first <= api.last for api in SPOKEN_APIS)


# What clients were seen to send that know no newer version: aiokafka 0.14 and kcat.
OLD_CLIENTS = {
    "ApiVersions": {0, 3},
    "Metadata": {4, 5},
    "Produce": {7},
    "Fetch": {11},
    "ListOffsets": {3},
    "InitProducerId": {0},
    "FindCoordinator": {1},
    "JoinGroup": {5},
    "SyncGroup": {3},
    "Heartbeat": {1},
    "LeaveGroup": {1},
    "OffsetCommit": {3},
    "OffsetFetch": {3},
    "CreateTopics": {3},
}


def test_versions_of_old_clients_are_spoken() -> None:
    spoken = {api.name: range(api.first, api.last + 1) for api in SPOKEN_APIS}
    assert [name for name, versions in OLD_CLIENTS.items() if not versions <= set(spoken[name])] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ThrottleTimeMs", "throttle_time_ms"),
        ("OffsetForLeaderEpoch", "offset_for_leader_epoch"),
        ("KRaftVersionFeature", "k_raft_version_feature"),
    ],
)
def test_names_become_snake_case(name: str, expected: str) -> None:
    assert snake(name) == expected


def test_versions_are_parsed() -> None:
    assert 3 in Versions.parse("3")
    assert list(Versions.parse("2-4")) == [2, 3, 4]
    assert list(Versions.parse("none")) == []
    assert 30_000 in Versions.parse("0+")


SCHEMA = """
// A licence
{
  "apiKey": 7, "type": "%(direction)s", "name": "Small%(suffix)s", "validVersions": "0-3", "flexibleVersions": "2+",
  "fields": [
    // A remark with "quotes"
    { "name": "Items", "type": "[]Item", "versions": "0+", "nullableVersions": "1+", "fields": [
      { "name": "%(field)s", "type": "%(type)s", "versions": "0+" } ]}
  ]
}
"""


def small_module(field: str = "Id", kind: str = "int32", request_kind: str = "int32") -> str:
    request = parse_schema(SCHEMA % {"direction": "request", "suffix": "Request", "field": field, "type": request_kind})
    response = parse_schema(SCHEMA % {"direction": "response", "suffix": "Response", "field": field, "type": kind})
    api = SPOKEN_APIS[0]._replace(name="Small", key=7, first=0, last=3)
    return ModuleEmitter(api, request, response, "9").source()


def test_versions_of_equal_layout_share_a_function() -> None:
    source = small_module()
    assert source.count("def _decode_item_") == 2  # legacy and flexible, for request and response alike
    assert "(2, 3, _decode_small_request_2)" in source
    assert "(1, 1, _decode_small_request_1)" in source  # null from here on


def test_structures_of_one_name_share_a_class_only_if_they_are_equal() -> None:
    assert "class ItemResponse(Message)" not in small_module()
    assert "class ItemResponse(Message)" in small_module(kind="string")


def test_what_the_generator_does_not_know_is_refused() -> None:
    with pytest.raises(GenerateError, match="unknown type int128"):
        small_module(kind="int128")
    with pytest.raises(GenerateError, match="called like a local variable"):
        small_module(field="End")
    with pytest.raises(GenerateError, match="records that cannot be null"):
        small_module(kind="records")
