"""An agent takes final rows, another ordered batches; each writes what it took to a file, a line an item."""

import os
from pathlib import Path

import faust
import orjson

from timesplit import cep

app = faust.App(
    os.environ["APP"],
    broker=f"kafka://{os.environ['BROKER']}",
    broker_session_timeout=6.0,
    broker_heartbeat_interval=2.0,
    topic_partitions=1,
    datadir=os.environ["DATADIR"],
)
events = cep.merge(app, *os.environ["TOPICS"].split(","))
counts = events.group_by("g").tumbling("10s").agg(cep.count(), cep.sum("x"), cep.ohlc("x"))
folder = Path(os.environ["DATADIR"])


def note(name: str, item: object) -> None:
    with (folder / name).open("ab") as file:
        file.write(orjson.dumps(item) + b"\n")


@app.agent(counts.final().rows())
async def take_rows(rows):
    async for row in rows:
        note("rows", [row.row_id, row.values])


@app.agent(events.batches(max_rows=100))
async def take_batches(batches):
    async for batch in batches:
        note("batches", [[event.order for event in batch.events], batch.watermark_ms])


if __name__ == "__main__":
    app.main()
