"""What the client commands share: where the node is, how an answer is shown as a table or as JSON."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import click
import httpx
import orjson
from rich import box
from rich.console import Console
from rich.table import Table

from timesplit.errors import TimesplitError

DEADLINE_S = 300.0
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


class Asker:
    """Talks to one node over its public HTTP API."""

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=f"http://{address}/api/v1", timeout=DEADLINE_S)
        self._address = address

    def ask(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None) -> object:
        """The answer's JSON, None for an empty one. Raises: AskError."""
        try:
            answer = self._client.request(method, path, params=dict(query or {}), json=body)
        except httpx.HTTPError as error:
            raise AskError(f"no answer from the node at {self._address}: {error}") from error
        if answer.is_error:
            raise AskError(_sentence(answer.content))
        return orjson.loads(answer.content) if answer.content else None

    def mapping(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None) -> Row:
        found = self.ask(method, path, query=query, body=body)
        assert isinstance(found, dict), f"{path} answered {type(found)}"
        return cast("Row", found)

    def stream(self, path: str, query: Mapping[str, str]) -> Iterable[bytes]:
        """Lines of a jsonl answer as they come. Raises: AskError."""
        try:
            with self._client.stream("GET", path, params={**query, "format": "jsonl"}) as answer:
                if answer.is_error:
                    raise AskError(_sentence(answer.read()))
                for line in answer.iter_lines():
                    yield line.encode()
        except httpx.HTTPError as error:
            raise AskError(f"the node at {self._address} ended the answer: {error}") from error


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
    """Rows as a table with the columns of the first, numbers to the right, times in UTC."""
    console = Console()
    if not rows:
        console.print("nothing found", style="dim")
        return
    names = columns or list(rows[0])
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in names:
        is_number = isinstance(next((row[name] for row in rows if row[name] is not None), None), int | float)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows[:TABLE_ROWS_MAX]:
        table.add_row(*(_shown(name, row[name]) for name in names))
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
