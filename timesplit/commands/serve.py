"""`timesplit serve`: run one node until SIGTERM or Ctrl-C."""

import gc
from dataclasses import fields
from pathlib import Path

import click

from timesplit.settings import Loaded, Origin, Settings, Value, load, meaning_of


@click.command(name="serve")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with settings.")
@click.option("--data", help="Data directory (default ./timesplit-data).")
@click.option("--node-id", type=int, help="Id of this node (default 1).")
@click.option("--host", help="Label of the machine, for replica placement.")
@click.option("--workers", type=int, help="Nodes to start on this machine.")
@click.option("--kafka", help="HOST:PORT of the Kafka listener (default 127.0.0.1:9092).")
@click.option("--http", help="HOST:PORT of the HTTP listener (default 127.0.0.1:8080).")
@click.option("--peer", help="HOST:PORT of the listener for other nodes (default 127.0.0.1:9192).")
@click.option("--advertise", help="Host name that clients are told.")
@click.option("--members", help="Founding members of a cluster: 1@HOST:PEERPORT,2@…")
@click.option("--join", help="Peer addresses of the cluster to join: HOST:PEERPORT,…")
@click.option("--print-config", "is_print", is_flag=True, help="Show every setting with its source, and end.")
def command(config: Path | None, *, is_print: bool, **options: Value | None) -> int:
    """Run a node: Kafka and HTTP listeners over one data directory."""
    loaded = load(options, config_file=config)
    if is_print:
        _print_settings(loaded)
        return 0
    # Nearly all that a start makes stays: the collector would look at it in vain. It begins at `ready`.
    gc.disable()
    from timesplit.lifecycle import serve

    return serve(loaded.settings, is_peer_given=loaded.origins["peer"] is not Origin.DEFAULT)


def _print_settings(loaded: Loaded) -> None:
    for setting in fields(Settings):
        meaning = meaning_of(setting.name)
        value: Value = getattr(loaded.settings, setting.name)
        shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
        click.echo(f"{setting.name} = {shown}  # {loaded.origins[setting.name]}; {meaning.unit}: {meaning.reason}")
