"""`timesplit events`: the events of a time range, as a table, as JSON lines, or into a file."""

import sys
from collections.abc import Mapping
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from .asking import Asker, node_options, path_of, show_table

ROWS_DEFAULT = 100
FORMATS = ("jsonl", "json", "csv", "arrow", "parquet")


@click.command(name="events")
@click.argument("topic")
@click.option("--from", "first", help="RFC 3339, epoch milliseconds, or now-15m; included.")
@click.option("--to", "end", help="The same; not included.")
@click.option("--where", help="Conditions such as \"origin='JFK' and dep_delay>=60\".")
@click.option("--key", help="Only records with this key.")
@click.option("--columns", help="Comma-separated; default all.")
@click.option("--order", type=click.Choice(["time", "-time", "arrival"]), default="time", show_default=True)
@click.option("--limit", type=int, help=f"Default {ROWS_DEFAULT} in a table, none otherwise.")
@click.option("--complete", type=click.Choice(["now", "watermark"]), default="now", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the answer to this file.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Of the file; default by its name, else jsonl.")
@node_options
def command(
    topic: str, *, address: str, is_json: bool, output: Path | None, form: str | None, **asked: str | int | None
) -> None:
    """Events of a time range, live and historic in one answer."""
    if form is not None and output is None:
        raise click.UsageError("--format goes with --output")
    names = {"first": "from", "end": "to"}
    query = {names.get(name, name): str(value) for name, value in asked.items() if value is not None}
    if "limit" not in query and not is_json and output is None:
        query["limit"] = str(ROWS_DEFAULT)
    asker, path = Asker(address), path_of("topics", topic, "events")
    if output is not None:
        named = output.suffix.removeprefix(".")
        query["format"] = form or (named if named in FORMATS else "jsonl")
        _write(asker, path, query, output)
    elif is_json:
        with asker.stream(path, {**query, "format": "jsonl"}) as answer:
            for piece in answer.iter_bytes():
                sys.stdout.buffer.write(piece)
    else:
        with asker.stream(path, {**query, "format": "jsonl"}) as answer:
            rows = [orjson.loads(line) for line in answer.iter_lines()]
        show_table(rows)


def _write(asker: Asker, path: str, query: Mapping[str, str], output: Path) -> None:
    """The file is there when it is whole, and not before."""
    unfinished = output.with_name(output.name + ".part")
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    try:
        with (
            asker.stream(path, query) as answer,
            unfinished.open("wb") as file,
            Progress(*columns, console=Console(stderr=True)) as progress,
        ):
            task = progress.add_task(output.name, total=None)
            for piece in answer.iter_bytes():
                file.write(piece)
                progress.advance(task, len(piece))
        unfinished.replace(output)
    except OSError as error:
        raise click.FileError(str(output), error.strerror) from error
    finally:
        unfinished.unlink(missing_ok=True)
