"""README stays true where a machine can tell."""

from pathlib import Path

from sharding.topic_configs import TOPIC_SETTINGS
from timesplit.cli import NOT_BUILT

README = (Path(__file__).parent.parent / "README.md").read_text()
LIMITS = README.split("## Limits")[1]


def test_settings_that_are_only_stored_are_listed_under_limits() -> None:
    row = next(line for line in LIMITS.splitlines() if "stored but not acted on" in line)
    listed = {part.strip(" `.") for part in row.split("**:")[1].split(",")}
    assert listed == {setting.name for setting in TOPIC_SETTINGS.values() if not setting.is_acted_on}


def test_commands_that_are_not_built_are_listed_under_limits() -> None:
    for name in NOT_BUILT:
        assert f"`{name}`" in LIMITS
