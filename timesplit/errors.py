"""Errors of the composition root, each with the exit code that scripts rely on (DESIGN section 11)."""

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
