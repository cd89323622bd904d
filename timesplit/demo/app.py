"""The demo's Faust app: hourly departures and delays of each airport, final only.

Run by `python -m timesplit.demo.app worker`.
"""

import os

import faust

from timesplit import cep

app = faust.App(
    os.environ.get("DEMO_APP", "timesplit-demo"),
    broker=f"kafka://{os.environ.get('DEMO_BROKER', '127.0.0.1:9092')}",
    web_enabled=False,
    topic_partitions=1,
    datadir=os.environ.get("DEMO_DATADIR"),
)

flights = cep.merge(app, "flights")
hourly = flights.group_by("origin").tumbling("1h").agg(
    cep.count(), cep.count("dep_delay"), cep.mean("dep_delay"), cep.ohlc("dep_delay")
)  # fmt: skip
hourly.final().to("departures-hourly")

if __name__ == "__main__":
    app.main()
