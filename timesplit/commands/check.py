"""`timesplit check`: verify the data directory of a stopped node; all it may change is what it doubts."""

from pathlib import Path

import click

from timesplit import checking
from timesplit.checking import DirectoryReport, check_directory
from timesplit.errors import EXIT_DATA

from .asking import show_json, show_table


@click.command(name="check")
@click.argument("data_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "is_json", is_flag=True, help="Print JSON instead of tables.")
@click.option(
    "--accept-torn-tails",
    is_flag=True,
    help="First forget all doubt: what starts have cut off counts as never acknowledged. Only for shards that find no "
    "leader because a node is lost for good; records of the last moment before the crash may be lost with it.",
)
def command(data_dir: Path, *, is_json: bool, accept_torn_tails: bool) -> int:
    """Read every byte of a data directory that no node serves: 0 it is whole, 3 it is damaged."""
    if accept_torn_tails:
        for shard in checking.accept_torn_tails(data_dir):
            click.echo(f"shard {shard}: its torn tail is accepted", err=True)
    report = check_directory(data_dir)
    if is_json:
        show_json(_as_json(data_dir, report))
    else:
        _show(report)
    return EXIT_DATA if report.is_damaged else 0


def _as_json(data_dir: Path, report: DirectoryReport) -> object:
    node = report.node
    return {
        "directory": str(data_dir),
        "is_damaged": report.is_damaged,
        "node": None
        if node is None
        else {"node_id": node.node_id, "disk_id": node.disk_id, "cluster_id": node.cluster_id, "format": node.format},
        "groups": _groups(report),
        "runs": {
            "count": report.run_count,
            "bytes": report.run_bytes,
            "compared_with": "catalog" if report.is_catalog_known else "footers only",
        },
        "findings": [
            {"path": finding.path, "what": finding.what, "is_damage": finding.is_damage} for finding in report.findings
        ],
    }


def _groups(report: DirectoryReport) -> list[dict[str, object]]:
    return [
        {
            "group": group.group_id,
            "term": group.term,
            "first_index": group.first_index,
            "last_index": group.last_index,
            "segments": group.segment_count,
            "entry_bytes": group.entry_bytes,
            "checkpoint": None if group.checkpoint is None else group.checkpoint.facts.applied,
            "is_damaged": group.is_damaged,
            "is_doubtful": group.is_doubtful,
        }
        for group in report.groups
    ]


def _show(report: DirectoryReport) -> None:
    show_table(_groups(report))
    compared = "compared with the catalog" if report.is_catalog_known else "the catalog is not readable: footers only"
    click.echo(f"{report.run_count} runs, {report.run_bytes:,} bytes; {compared}")
    for finding in report.findings:
        click.echo(f"{'DAMAGED' if finding.is_damage else 'note   '} {finding.path}: {finding.what}")
    damages = sum(finding.is_damage for finding in report.findings)
    click.echo(f"{damages} damages" if damages else "whole")
