"""The `timesplit` program. Each command is a module of `timesplit.commands`, imported only when it is called."""

import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

import click

from . import __version__
from .errors import EXIT_USAGE, TimesplitError

# name -> (module of timesplit.commands, one line of help)
COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "serve": ("serve", "Run a node."),
        "topics": ("topics", "List, describe, create, delete topics."),
        "events": ("events", "Events of a time range."),
        "aggregate": ("aggregate", "Aggregates over a time range."),
        "splits": ("splits", "Time splits of a topic; seal the open one."),
        "cluster": ("cluster", "Nodes and shards of the cluster."),
        "groups": ("groups", "List, describe, delete consumer groups."),
        "check": ("check", "Verify the data directory of a stopped node."),
    }
)
NOT_BUILT = ("query", "users", "acls", "export", "sync", "bench")


class _Program(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in NOT_BUILT:
            raise click.UsageError(f"{cmd_name!r} is not built yet", ctx)
        if cmd_name not in COMMANDS:
            return None
        command: object = import_module(f"timesplit.commands.{COMMANDS[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Program)
@click.version_option(__version__, prog_name="timesplit")
def program() -> None:
    """A Kafka-compatible streaming gateway over a replicated event store."""


def main() -> None:
    """Run the program; exit codes as in `timesplit.errors`: 2 usage, 3 data directory, 4 port in use."""
    try:
        code: object = program.main(standalone_mode=False)
        sys.stdout.flush()
    except click.FileError as error:
        error.show()
        raise SystemExit(1) from error
    except click.ClickException as error:
        error.show()
        raise SystemExit(EXIT_USAGE) from error
    except click.Abort as error:
        raise SystemExit(130) from error
    except BrokenPipeError as error:
        # Whoever read our output has enough of it; Python's own flush at exit must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from error
    except TimesplitError as error:
        click.echo(f"timesplit: {error}", err=True)
        raise SystemExit(error.exit_code) from error
    raise SystemExit(code if isinstance(code, int) else 0)
