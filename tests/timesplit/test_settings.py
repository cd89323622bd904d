"""Settings: precedence, bounds, and what is refused because it is not built."""

from dataclasses import fields
from pathlib import Path

import pytest

from timesplit.errors import SettingsError
from timesplit.settings import Origin, Settings, address, join_addresses, load, members_of

ROOT = Path(__file__).parent.parent.parent
WIRING = ("wiring", "kafka_door", "http_door", "doors", "lifecycle", "peering")


def test_the_command_line_beats_environment_beats_file(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text('node_id = 2\nkafka = "127.0.0.1:1"\nhttp = "127.0.0.1:2"\n')
    environment = {"TIMESPLIT_KAFKA": "127.0.0.1:3", "TIMESPLIT_HTTP": "127.0.0.1:4"}
    loaded = load({"http": "127.0.0.1:5", "data": None}, config_file=config, environment=environment)
    assert (loaded.settings.node_id, loaded.settings.kafka, loaded.settings.http) == (2, "127.0.0.1:3", "127.0.0.1:5")
    assert loaded.origins["node_id"] is Origin.FILE
    assert loaded.origins["kafka"] is Origin.ENVIRONMENT
    assert loaded.origins["http"] is Origin.COMMAND_LINE
    assert loaded.origins["data"] is Origin.DEFAULT


def test_defaults_are_those_of_the_outside_contract() -> None:
    settings = load({}, environment={}).settings
    assert settings == Settings()
    assert (settings.kafka, settings.http, settings.peer) == ("127.0.0.1:9092", "127.0.0.1:8080", "127.0.0.1:9192")
    assert settings.data == "./timesplit-data"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"segment_bytes": 5}, "must be 1048576 to"),
        ({"segment_bytes": "many"}, "whole number"),
        ({"auto_create_topics": "maybe"}, "true or false"),
        ({"kafka": "9092"}, "HOST:PORT"),
        ({"workers": 2}, "not built yet"),
        ({"members": "2@127.0.0.1:9192"}, "this is node 1, which members does not name"),
        ({"members": "1@127.0.0.1:0"}, "must say a port"),
        ({"members": "127.0.0.1:9192"}, "must be ID@HOST:PEERPORT"),
        ({"members": "0@h:1"}, "must be ID@HOST:PEERPORT"),
        ({"members": "1@h:1,1@h:2"}, "twice"),
        ({"members": "1@h:1,2@h:1"}, "twice"),
        ({"members": "1@h:1,"}, "must be ID@HOST:PEERPORT"),
        ({"join": "127.0.0.1"}, "HOST:PORT"),
        ({"join": "a:1,b:0"}, "must say a port"),
        ({"members": "1@a:1", "join": "a:1"}, "give one of them"),
        ({"peer": "9192"}, "HOST:PORT"),
        ({"meta_engine": "other"}, "must be native or pysyncobj"),
    ],
)
def test_a_bad_setting_is_refused_with_its_reason(options: dict, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(options, environment={})


def test_members_and_seeds_are_read() -> None:
    settings = load({"members": "2@b:9192, 1@[::1]:1"}, environment={}).settings
    assert members_of(settings) == {2: ("b", 9192), 1: ("::1", 1)}
    assert join_addresses(load({"join": "a:1, b:2"}, environment={}).settings) == [("a", 1), ("b", 2)]
    assert (members_of(Settings()), join_addresses(Settings())) == ({}, [])


def test_an_unknown_key_or_a_broken_file_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text("kafak = 1\n")
    with pytest.raises(SettingsError, match="kafak"):
        load({}, config_file=config, environment={})
    config.write_text("= =")
    with pytest.raises(SettingsError, match="config file"):
        load({}, config_file=config, environment={})


def test_addresses() -> None:
    assert address("127.0.0.1:0", "x") == ("127.0.0.1", 0)
    assert address("[::1]:80", "x") == ("::1", 80)
    for bad in ("", ":1", "a:", "a:x", "a:70000"):
        with pytest.raises(SettingsError):
            address(bad, "x")


def test_every_setting_is_acted_on_or_refused() -> None:
    wired = "".join((ROOT / f"timesplit/{name}.py").read_text() for name in WIRING)
    unused = {s.name for s in fields(Settings) if f"settings.{s.name}" not in wired}
    of_functions = {"host"}
    refused = {"workers"}
    assert unused == refused | of_functions
