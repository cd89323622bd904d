"""`timesplit events`: the events of a time range, as a table or as JSON lines."""

import sys

import click
import orjson

from .asking import Asker, node_options, show_table

ROWS_DEFAULT = 100


@click.command(name="events")
@click.argument("topic")
@click.option("--from", "first", help="RFC 3339, epoch milliseconds, or now-15m; included.")
@click.option("--to", "end", help="The same; not included.")
@click.option("--where", help="Conditions such as \"origin='JFK' and dep_delay>=60\".")
@click.option("--key", help="Only records with this key.")
@click.option("--columns", help="Comma-separated; default all.")
@click.option("--order", type=click.Choice(["time", "-time", "arrival"]), default="time", show_default=True)
@click.option("--limit", type=int, help=f"Default {ROWS_DEFAULT} in a table, none with --json.")
@click.option("--complete", type=click.Choice(["now", "watermark"]), default="now", show_default=True)
@node_options
def command(topic: str, *, address: str, is_json: bool, limit: int | None, **asked: str | None) -> None:
    """Events of a time range, live and historic in one answer."""
    names = {"first": "from", "end": "to"}
    query = {names.get(name, name): value for name, value in asked.items() if value is not None}
    if limit is None and not is_json:
        limit = ROWS_DEFAULT
    if limit is not None:
        query["limit"] = str(limit)
    lines = Asker(address).stream(f"/topics/{topic}/events", query)
    if is_json:
        for line in lines:
            sys.stdout.buffer.write(line + b"\n")
    else:
        show_table([orjson.loads(line) for line in lines])
