"""Errors of the composition root, each with the exit code that scripts rely on (DESIGN section 11)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sharding.inserts import Outcome

EXIT_USAGE = 2
EXIT_DATA = 3
EXIT_PORT_IN_USE = 4


class TimesplitError(Exception):
    """Base class; `exit_code` is what `timesplit serve` ends with."""

    exit_code = 1


class SettingsError(TimesplitError):
    """A setting is unknown, mistyped or out of its bounds, or asks for what is not built yet."""

    exit_code = EXIT_USAGE


class DataDirectoryError(TimesplitError):
    """The data directory is damaged, of an unknown format, in use, or from another node."""

    exit_code = EXIT_DATA


class PortInUseError(TimesplitError):
    exit_code = EXIT_PORT_IN_USE


class NodeFailedError(TimesplitError):
    """The disk or a group failed: this process must not answer any more."""


class ClosedError(TimesplitError):
    """The embedded database was closed."""


class QuestionError(TimesplitError, ValueError):
    """A question or a record that has no meaning, before anything was asked or stored."""


class InsertError(TimesplitError):
    """Some records were refused; `outcomes` has a place or an error for each, in the order given."""

    def __init__(self, message: str, outcomes: "Sequence[Outcome]") -> None:
        super().__init__(message)
        self.outcomes = outcomes
