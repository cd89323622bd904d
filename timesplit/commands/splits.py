"""`timesplit splits`: the time splits of a topic; close the open one now."""

import click
from rich.console import Console

from .asking import Asker, node_options, path_of, rows_of, show_json, show_table


@click.command(name="splits")
@click.argument("topic")
@click.option("--seal", "is_seal", is_flag=True, help="Close the open split now and wait until it is historic.")
@click.option("--watermark", help="With --seal: event time has come at least that far, so later windows close too.")
@node_options
def command(topic: str, address: str, *, is_json: bool, is_seal: bool, watermark: str | None) -> None:
    """Time splits of a topic: bounds in event time, state, files."""
    if watermark is not None and not is_seal:
        raise click.UsageError("--watermark goes with --seal")
    asker = Asker(address)
    if is_seal:
        with Console(stderr=True).status(f"sealing the open split of {topic}"):
            asker.ask(
                "POST",
                path_of("topics", topic, "splits", "seal"),
                query={} if watermark is None else {"watermark": watermark},
            )
    found = asker.mapping("GET", path_of("topics", topic, "splits"))
    if is_json:
        show_json(found)
    else:
        show_table(rows_of(found, "splits"), ["number", "state", "first_ms", "last_ms", "count", "bytes", "files"])
