"""`timesplit groups`: list, describe with lag, delete consumer groups."""

import click

from .asking import Asker, ListByDefault, node_options, path_of, rows_of, show_json, show_table


@click.group(name="groups", cls=ListByDefault)
def command() -> None:
    """List, describe, delete consumer groups."""


@command.command(name="list")
@node_options
def list_groups(address: str, *, is_json: bool) -> None:
    """All groups."""
    found = Asker(address).mapping("GET", "/groups")
    if is_json:
        show_json(found)
    else:
        show_table(rows_of(found, "groups"))


@command.command()
@click.argument("group")
@node_options
def describe(group: str, address: str, *, is_json: bool) -> None:
    """One group: members, committed offsets, lag."""
    found = Asker(address).mapping("GET", path_of("groups", group))
    if is_json:
        show_json(found)
        return
    click.echo(f"{found['group']}: {found['state']}, generation {found['generation']}")
    show_table(rows_of(found, "members"))
    show_table(rows_of(found, "offsets"))


@command.command()
@click.argument("group")
@node_options
def delete(group: str, address: str, *, is_json: bool) -> None:
    """Delete a group without members, with its committed offsets."""
    Asker(address).ask("DELETE", path_of("groups", group))
    if is_json:
        show_json({"deleted": group})
    else:
        click.echo(f"deleted {group}")
