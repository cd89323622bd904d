"""What the client commands share: where the node is, how an answer is shown as a table or as JSON."""

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar, cast
from urllib.parse import quote

import click
import httpx
import orjson
from rich import box
from rich.console import Console
from rich.table import Table

from timesplit.errors import TimesplitError
from timesplit.settings import address as checked_address

CONNECT_DEADLINE_S = 10.0
# A seal answers when its merge is done, a query when its first rows are found.
ANSWER_DEADLINE_S = 3_600.0
TABLE_ROWS_MAX = 500  # of one answer in a terminal; --json has all

F = TypeVar("F", bound=Callable[..., Any])  # click's own decorators are typed this way

Row = Mapping[str, object]


class AskError(TimesplitError):
    """The node cannot be reached, or refused; its own sentence is the message."""


def node_options(command: F) -> F:
    """--http and --json, which every client command has."""
    command = click.option("--json", "is_json", is_flag=True, help="Print JSON instead of tables.")(command)
    return click.option(
        "--http",
        "address",
        envvar="TIMESPLIT_HTTP",
        default="127.0.0.1:8080",
        show_default=True,
        help="HTTP address of the node.",
    )(command)


class ListByDefault(click.Group):
    """A group of commands that without a command's name is its `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def path_of(*parts: str) -> str:
    """A path of the API; what is in a name stays in its part."""
    return "".join("/" + quote(part, safe="") for part in parts)


class Asker:
    """Talks to one node over its public HTTP API, for as long as the command runs.

    Raises: SettingsError for what is no HOST:PORT.
    """

    def __init__(self, address: str) -> None:
        checked_address(address, "--http")
        timeout = httpx.Timeout(ANSWER_DEADLINE_S, connect=CONNECT_DEADLINE_S)
        # Another node of the cluster may be the one to answer.
        self._client = httpx.Client(base_url=f"http://{address}/api/v1", timeout=timeout, follow_redirects=True)
        click.get_current_context().call_on_close(self._client.close)
        self._address = address

    def ask(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None) -> object:
        """The answer's JSON, None for an empty one. Raises: AskError."""
        with self._sentences():
            answer = self._client.request(method, path, params=dict(query or {}), json=body)
        if answer.is_error:
            raise AskError(_sentence(answer.content))
        return orjson.loads(answer.content) if answer.content else None

    def mapping(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None) -> Row:
        found = self.ask(method, path, query=query, body=body)
        assert isinstance(found, dict), f"{path} answered {type(found)}"
        return cast("Row", found)

    @contextmanager
    def stream(self, path: str, query: Mapping[str, str]) -> Generator[httpx.Response]:
        """An answer that is read as it comes. Raises: AskError, also when the node breaks it off."""
        with self._sentences(), self._client.stream("GET", path, params=dict(query)) as answer:
            if answer.is_error:
                raise AskError(_sentence(answer.read()))
            yield answer

    @contextmanager
    def _sentences(self) -> Generator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise AskError(
                f"no node answers at {self._address} ({error}); start one with `timesplit serve`, or give --http"
            ) from error
        except httpx.HTTPError as error:
            raise AskError(f"the node at {self._address} did not answer in full: {error}") from error


def _sentence(body: bytes) -> str:
    try:
        problem = orjson.loads(body)
        return f"{problem['title']}: {problem['detail']}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body.decode(errors="replace")[:500]


def rows_of(answer: Row, name: str) -> Sequence[Row]:
    return cast("Sequence[Row]", answer[name])


def show_json(value: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def show_table(rows: Sequence[Row], columns: Sequence[str] | None = None) -> None:
    """Rows as a table, numbers to the right, times in UTC."""
    console = Console()
    if not rows:
        console.print("nothing found", style="dim")
        return
    # Not every row has every column: the mark of unsettled rows is left out where it does not hold.
    names = columns or list(dict.fromkeys(name for row in rows for name in row))
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in names:
        is_number = isinstance(next((row[name] for row in rows if row.get(name) is not None), None), int | float)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows[:TABLE_ROWS_MAX]:
        table.add_row(*(_shown(name, row.get(name)) for name in names))
    console.print(table)
    if len(rows) > TABLE_ROWS_MAX:
        console.print(f"… and {len(rows) - TABLE_ROWS_MAX:,} more rows; --json has all", style="dim")


_TIMES = {"_ts", "window_start", "window_end", "first_ms", "last_ms", "opened_ms", "watermark"}


def _shown(name: str, value: object) -> str:
    if value is None:
        return ""
    if name in _TIMES and isinstance(value, int):
        return time_text(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | dict):
        return orjson.dumps(value).decode()
    return str(value)


def time_text(ms: int) -> str:
    """UTC to the millisecond; what no calendar holds stays a number."""
    try:
        moment = datetime.fromtimestamp(ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return str(ms)
    return moment.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00").removesuffix(".000") + "Z"
