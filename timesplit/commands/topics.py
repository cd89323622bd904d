"""`timesplit topics`: list, describe, create, delete."""

from typing import cast

import click
import orjson

from .asking import Asker, ListByDefault, node_options, path_of, rows_of, show_json, show_table


@click.group(name="topics", cls=ListByDefault)
def command() -> None:
    """List, describe, create, delete topics."""


@command.command(name="list")
@node_options
def list_topics(address: str, *, is_json: bool) -> None:
    """All topics."""
    found = Asker(address).mapping("GET", "/topics")
    if is_json:
        show_json(found)
        return
    rows = [{**topic, "records": _count(topic["offsets"])} for topic in rows_of(found, "topics")]
    show_table(rows, ["name", "partitions", "replication_factor", "records", "configs"])


@command.command()
@click.argument("topic")
@node_options
def describe(topic: str, address: str, *, is_json: bool) -> None:
    """One topic with its settings, offsets and watermark."""
    asker = Asker(address)
    found = {
        **asker.mapping("GET", path_of("topics", topic)),
        **asker.mapping("GET", path_of("topics", topic, "watermark")),
    }
    if is_json:
        show_json(found)
    else:
        show_table([{"fact": name, "value": value} for name, value in found.items()])


@command.command()
@click.argument("topic")
@click.option("--partitions", type=int, default=-1, help="Default: the node's.")
@click.option("--replication-factor", type=int, default=-1, help="Default: the node's.")
@click.option("--schema", help='JSON such as {"symbol": "string", "price": "double"}: makes it an event stream.')
@click.option("--aggregates", help="Attributes with aggregates in the index, comma-separated.")
@click.option("--config", "configs", multiple=True, help="NAME=VALUE, any number of times.")
@node_options
def create(  # noqa: PLR0913 - one parameter an option
    topic: str,
    *,
    partitions: int,
    replication_factor: int,
    schema: str | None,
    aggregates: str | None,
    configs: tuple[str, ...],
    address: str,
    is_json: bool,
) -> None:
    """Create a topic."""
    pairs = [config.partition("=") for config in configs]
    if any(not separator for _, separator, _ in pairs):
        raise click.UsageError("--config takes NAME=VALUE")
    body: dict[str, object] = {
        "name": topic,
        "partitions": partitions,
        "replication_factor": replication_factor,
        "configs": {name: value for name, _, value in pairs},
    }
    if schema is not None:
        try:
            body["schema"] = orjson.loads(schema)
        except orjson.JSONDecodeError as error:
            raise click.UsageError(f"--schema is not JSON: {error}") from error
    if aggregates is not None:
        body["aggregates"] = [name.strip() for name in aggregates.split(",") if name.strip()]
    found = Asker(address).mapping("POST", "/topics", body=body)
    if is_json:
        show_json(found)
    else:
        click.echo(f"created {topic} with {found['partitions']} partitions")


@command.command()
@click.argument("topic")
@node_options
def delete(topic: str, address: str, *, is_json: bool) -> None:
    """Delete a topic and everything in it."""
    Asker(address).ask("DELETE", path_of("topics", topic))
    if is_json:
        show_json({"deleted": topic})
    else:
        click.echo(f"deleted {topic}")


def _count(offsets: object) -> int:
    """Records between log start and end, over [start, end] of each partition."""
    return sum(end - start for start, end in cast("list[tuple[int, int]]", offsets))
