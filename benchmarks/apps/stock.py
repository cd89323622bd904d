"""OHLC per symbol in windows of 10 s as stock Faust does it: an agent and a tumbling table."""

import os
import sys

import faust

app = faust.App(
    "bench-stock",
    broker=f"kafka://{os.environ['BROKER']}",
    topic_partitions=8,
    datadir=os.environ["DATADIR"],
    consumer_auto_offset_reset="earliest",
)


class Tick(faust.Record, serializer="json"):
    sym: str
    px: float
    qty: int


ticks = app.topic("plain-ticks", value_type=Tick, partitions=8)
bars = app.Table("bars", default=list, partitions=8).tumbling(10.0, expires=3600.0)


@app.agent(ticks)
async def count(stream):
    n = 0
    async for tick in stream:
        bar = bars[tick.sym].current()
        bar = [bar[0], max(bar[1], tick.px), min(bar[2], tick.px), tick.px] if bar else [tick.px] * 4
        bars[tick.sym] = bar
        n += 1
        if n % 1_000 == 0:
            print(f"counted {n}", file=sys.stderr)


if __name__ == "__main__":
    app.main()
