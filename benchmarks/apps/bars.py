"""OHLC per symbol in windows of 10 s, with cep. PROFILE: where to write a profile when the worker ends."""

import atexit
import cProfile
import os

import faust

from timesplit import cep

app = faust.App(
    "bench-bars", broker=f"kafka://{os.environ['BROKER']}", topic_partitions=1, datadir=os.environ["DATADIR"]
)
ticks = cep.merge(app, "ticks")
ticks.group_by("sym").tumbling("10s").agg(cep.ohlc("px")).final().to("bars")

if __name__ == "__main__":
    if os.environ.get("PROFILE"):
        profile = cProfile.Profile()
        atexit.register(profile.dump_stats, os.environ["PROFILE"])
        profile.enable()
    app.main()
