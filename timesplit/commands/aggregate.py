"""`timesplit aggregate`: aggregates over a time range, by windows and groups."""

import click

from .asking import Asker, node_options, path_of, rows_of, show_json, show_table


@click.command(name="aggregate")
@click.argument("topic")
@click.argument("agg", default="count")
@click.option("--from", "first", help="RFC 3339, epoch milliseconds, or now-15m; included.")
@click.option("--to", "end", help="The same; not included.")
@click.option("--every", help="Window such as 1m or 1h; default one row over the whole range.")
@click.option("--origin", help="A moment at which a window begins; default 1970-01-01T00:00:00Z.")
@click.option("--by", help="Attributes to group by, comma-separated.")
@click.option("--where", help="Conditions such as \"origin='JFK' and dep_delay>=60\".")
@click.option("--fill", type=click.Choice(["none", "null", "prev", "0"]), help="Rows for empty windows.")
@click.option("--complete", type=click.Choice(["now", "watermark"]), default="now", show_default=True)
@node_options
def command(topic: str, *, address: str, is_json: bool, **asked: str | None) -> None:
    """Aggregates such as 'count,sum(qty),ohlc(price)' over a time range."""
    names = {"first": "from", "end": "to"}
    query = {names.get(name, name): value for name, value in asked.items() if value is not None}
    found = Asker(address).mapping("GET", path_of("topics", topic, "aggregate"), query={**query, "format": "json"})
    if is_json:
        show_json(found)
    else:
        show_table(rows_of(found, "rows"))
