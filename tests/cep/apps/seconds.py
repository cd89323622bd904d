"""Counts and OHLC per group in windows of 10 s; what is read and where comes from the environment."""

import os

import faust

from timesplit import cep

app = faust.App(
    os.environ["APP"],
    broker=f"kafka://{os.environ['BROKER']}",
    broker_session_timeout=6.0,
    broker_heartbeat_interval=2.0,
    topic_partitions=1,
    datadir=os.environ["DATADIR"],
)
events = cep.merge(app, *os.environ["TOPICS"].split(","), watermarks=os.environ["WATERMARKS"], lateness="5s", idle="1s")
events.group_by("g").tumbling("10s").agg(cep.count(), cep.sum("x"), cep.ohlc("x")).final().to(
    os.environ["APP"] + "-out"
)

if __name__ == "__main__":
    app.main()
