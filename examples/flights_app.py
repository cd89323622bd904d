"""Hourly departures and delays of each airport, final only; long delays as they become final, to an agent.

Run it beside a node that has the topic `flights` (python -m timesplit.demo loads it):

    python -m examples.flights_app worker
"""

import os

import faust

from timesplit import cep

app = faust.App(
    os.environ.get("APP", "delays"),
    broker=f"kafka://{os.environ.get('BROKER', '127.0.0.1:9092')}",
    topic_partitions=1,
    datadir=os.environ.get("DATADIR"),
)

flights = cep.merge(app, "flights")
by_airport = flights.group_by("origin")
hourly = by_airport.tumbling("1h").agg(cep.count(), cep.mean("dep_delay"), cep.ohlc("dep_delay"))
daily = by_airport.tumbling("1d").agg(cep.count(), cep.max("dep_delay"))

hourly.final().to("departures-hourly")


@app.agent(daily.final().rows())
async def report(rows):
    async for row in rows:
        print(f"{row.key}: {row.values['count']} departures, longest delay {row.values['max(dep_delay)']} min")


if __name__ == "__main__":
    app.main()
