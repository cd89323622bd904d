"""`python -m timesplit.demo [--once] [--nodes 3]`: start nodes, load flights, run a Faust app, verify answers."""
# pandas and confluent-kafka carry partial types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

import httpx
import orjson
import pandas as pd
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .data import ATTRIBUTES, flights
from .load import LoadError, consume, produce
from .node import Node, start_app, start_nodes, wait_for_ctrl_c
from .truth import COLUMNS, WrongAnswerError, compare, hourly

PARTITIONS = 4
REPLICAS_MAX = 3
NODES_MAX = 9
HOUR_MS = 3_600_000
TOPICS = {"flights": 24 * HOUR_MS, "flights-strict": HOUR_MS}
END_OF_DATA = "2014-01-01T06:00:00Z"
SHOWN_DAY = ("2013-02-09T12:00:00Z", "2013-02-09T16:00:00Z")
RESULTS_DEADLINE_S = 120.0
HTTP_DEADLINE_S = 120.0

HIDDEN = {"window_end", "_unsettled"}

Rows = Sequence[Mapping[str, object]]


class Demo:
    """One run: owns the console and the addresses of the nodes. Every node is asked in turn, and must answer alike."""

    def __init__(self, console: Console, nodes: Sequence[Node]) -> None:
        self.console = console
        self.kafka = ",".join(node.kafka for node in nodes)
        self.replicas = min(REPLICAS_MAX, len(nodes))
        self.clients = cycle(
            httpx.Client(base_url=f"http://{node.http}/api/v1", timeout=HTTP_DEADLINE_S, follow_redirects=True)
            for node in nodes
        )

    def create_topics(self) -> None:
        for name, lateness_ms in TOPICS.items():
            self._post(
                "/topics",
                {
                    "name": name,
                    "partitions": PARTITIONS,
                    "replication_factor": self.replicas,
                    "schema": ATTRIBUTES,
                    "aggregates": ["dep_delay", "arr_delay", "distance"],
                    "configs": {"lateness.ms": str(lateness_ms)},
                },
            )
        derived = {"name": "departures-hourly", "partitions": 1, "replication_factor": self.replicas}
        self._post("/topics", derived)

    def load(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Send the flights to both topics; the frame as acknowledged for `flights`."""
        loaded = frame
        bar = (TextColumn("{task.description:>16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*bar, console=self.console) as progress:
            for name in TOPICS:
                task = progress.add_task(name, total=len(frame))
                sent = produce(self.kafka, name, frame, lambda done, task=task: progress.update(task, completed=done))
                loaded = sent if name == "flights" else loaded
        return loaded

    def seal(self) -> None:
        """The year is over: W goes to its last hour's end, so that the last windows close as well."""
        for name in TOPICS:
            with self.console.status(f"sealing {name}: its open split becomes a historic one"):
                split = self._post(f"/topics/{name}/splits/seal?watermark={END_OF_DATA}", None)
            self.console.print(f"sealed {name}: {split['count']:,} events in {', '.join(map(str, split['files']))}")

    def show_aggregates(self, truth: pd.DataFrame) -> None:
        """Hourly delays of each airport: all of them verified, one afternoon shown."""
        asked = "count,count(dep_delay),mean(dep_delay),ohlc(dep_delay)"
        query = {"every": "1h", "by": "origin", "agg": asked, "format": "json"}
        compare("aggregate over all of 2013", self._get("/topics/flights/aggregate", query)["rows"], truth)
        first, end = SHOWN_DAY
        rows = self._get("/topics/flights/aggregate", {**query, "from": first, "to": end})["rows"]
        self._say("the day after the blizzard of February 2013, scheduled departures by hour and airport", rows)
        self._command(f"timesplit aggregate flights --from {first} --to {end} --every 1h --by origin '{asked}'")
        self.console.print(f"  [green]verified[/]: {len(truth):,} windows of the whole year equal pandas")

    def show_events(self, frame: pd.DataFrame) -> None:
        first, end = (pd.Timestamp(text).value // 1_000_000 for text in SHOWN_DAY)
        query = {"from": first, "to": end, "format": "json", "columns": "_ts,_partition,_offset,carrier,flight,origin"}
        rows = self._get("/topics/flights/events", query)["rows"]
        inside = frame.loc[(frame["ts"] >= first) & (frame["ts"] < end)].sort_values(["ts", "partition", "offset"])
        wanted = [tuple(row) for row in inside[["ts", "partition", "offset", "carrier", "flight", "origin"]].to_numpy()]
        found = [(r["_ts"], r["_partition"], r["_offset"], r["carrier"], r["flight"], r["origin"]) for r in rows]
        if found != wanted:
            raise WrongAnswerError(f"events: {len(found)} rows differ from the {len(wanted)} of the data frame")
        self._say("events of that time, in event-time order, the first five", rows[:5])
        self._command(f"timesplit events flights --from {SHOWN_DAY[0]} --to {SHOWN_DAY[1]} --limit 5")
        self.console.print(f"  [green]verified[/]: all {len(rows)} events in order")

    def show_view(self, frame: pd.DataFrame) -> None:
        """A plain consumer reads the topic in event-time order."""
        got = consume(self.kafka, "flights.__time", len(frame), deadline_s=RESULTS_DEADLINE_S)
        ordered = frame.sort_values(["ts", "partition", "offset"])
        origins = [f"{p}:{o}".encode() for p, o in zip(ordered["partition"], ordered["offset"], strict=True)]
        found = [dict(message.headers() or []).get("timesplit.origin") for message in got]
        if found != origins or [message.timestamp()[1] for message in got] != ordered["ts"].tolist():
            raise WrongAnswerError("flights.__time is not the data frame in event-time order")
        self._command(f"kcat -C -b {self.kafka} -t flights.__time -c 3")
        self.console.print(f"  [green]verified[/]: {len(got):,} records in total event-time order")

    def show_results(self, truth: pd.DataFrame) -> None:
        got = consume(self.kafka, "departures-hourly", len(truth), deadline_s=RESULTS_DEADLINE_S)
        rows = [orjson.loads(message.value() or b"") for message in got]
        compare("the derived topic", rows, truth)
        self._say("departures-hourly, the Faust app's final results, the last three", rows[-3:])
        self._command(f"kcat -C -b {self.kafka} -t departures-hourly -o -3 -e")
        self.console.print(f"  [green]verified[/]: {len(rows):,} final rows equal pandas, none given twice")

    def show_late(self, frame: pd.DataFrame) -> None:
        """With one hour of lateness some flights come too late for their tick: they are all there, and marked."""
        late = self._get("/topics/flights-strict/watermark", {})["late_count"]
        count = self._get("/topics/flights-strict/aggregate", {"agg": "count", "format": "json"})["rows"][0]["count"]
        if count != len(frame):
            raise WrongAnswerError(f"flights-strict has {count} events, {len(frame)} were sent")
        self.console.print(
            f"\n[bold]late events[/]: flights has none, flights-strict (lateness 1 h) {late:,} of {count:,}"
        )
        self._command(f"kcat -C -b {self.kafka} -t flights-strict.__late -c 3")

    def _say(self, title: str, rows: Rows) -> None:
        names = [name for name in rows[0] if name not in HIDDEN] if rows else []
        table = Table(title=f"\n{title}", title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
        for name in names:
            table.add_column(name.replace("(dep_delay)", ""), justify="right")
        for row in rows[:12]:
            table.add_row(*(_shown(name, row[name]) for name in names))
        self.console.print(table)

    def _command(self, command: str) -> None:
        self.console.print(f"  [dim]again:[/] {command}", highlight=False, soft_wrap=True)

    def _get(self, path: str, query: Mapping[str, str | int]) -> dict[str, Rows]:
        answer = next(self.clients).get(path, params=dict(query))
        if answer.is_error:
            raise WrongAnswerError(f"GET {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def _post(self, path: str, body: object) -> dict[str, Rows]:
        answer = next(self.clients).post(path, json=body)
        if answer.is_error:
            raise WrongAnswerError(f"POST {path}: {answer.status_code} {answer.text}")
        return answer.json()


def _shown(name: str, value: object) -> str:
    if value is not None and name in {"window_start", "_ts"}:
        return pd.Timestamp(int(str(value)), unit="ms", tz="UTC").strftime("%Y-%m-%d %H:%M")
    return "" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


def run(console: Console, *, is_once: bool, node_count: int) -> None:
    """Raises: WrongAnswerError, LoadError when anything shown is not what the data frame says."""
    with tempfile.TemporaryDirectory(prefix="timesplit-demo-") as name:
        folder = Path(name)
        with ExitStack() as running:
            nodes = start_nodes(folder, node_count, running)
            what = "a standalone node" if node_count == 1 else f"{node_count} nodes, every record on {REPLICAS_MAX}"
            console.print(f"{what}; data in {folder}")
            for node in nodes:
                console.print(f"  Kafka on {node.kafka}, HTTP and page on http://{node.http}/", highlight=False)
            demo = Demo(console, nodes)
            demo.create_topics()
            with console.status("reading 336,776 flights of 2013"):
                frame = flights()
            with start_app(folder, nodes[0].kafka) as app:
                frame = demo.load(frame)
                truth = hourly(frame)
                demo.seal()
                demo.show_aggregates(truth)
                demo.show_events(frame)
                demo.show_view(frame)
                demo.show_late(frame)
                try:
                    demo.show_results(truth)
                except LoadError as error:
                    raise LoadError(f"{error}; the app said: {app.tail()}") from error
                console.print(f"\n[bold green]every answer shown was verified[/] ({len(COLUMNS)} columns each)")
                if not is_once:
                    console.print(f"the page: http://{nodes[0].http}/ — serving until Ctrl-C", highlight=False)
                    wait_for_ctrl_c(nodes)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="timesplit.demo", description=__doc__)
    arguments.add_argument(
        "--once", action="store_true", help="end by itself; exit 0 only if every answer was verified"
    )
    arguments.add_argument("--nodes", type=int, default=1, choices=[1, *range(REPLICAS_MAX, NODES_MAX)])
    chosen = arguments.parse_args()
    console = Console()
    try:
        run(console, is_once=chosen.once, node_count=chosen.nodes)
    except (WrongAnswerError, LoadError, RuntimeError, httpx.HTTPError) as error:
        console.print(f"[bold red]the demo failed[/]: {error}", markup=True, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
