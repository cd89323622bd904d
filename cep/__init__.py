"""Event processing: pure operators over events in event-time order, and a thin Faust shell.

    import faust
    from timesplit import cep

    app = faust.App("delays", broker="kafka://127.0.0.1:9092")
    flights = cep.merge(app, "flights")
    hourly = flights.group_by("origin").tumbling("1h").agg(cep.count(), cep.mean("dep_delay"), cep.ohlc("dep_delay"))
    hourly.final().to("departures-hourly")

Speaks Kafka to any broker. The operators (`order`, `windows`, `aggregates`, `pipeline`) need neither broker nor Faust.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .aggregates import count, max, mean, min, ohlc, sum  # noqa: A004 - the words of the field
from .errors import BufferFullError, CepError, NonFinalInputError, OutputError, PlanError, SourceError

if TYPE_CHECKING:
    from .shell import merge as merge

__all__ = [
    "BufferFullError",
    "CepError",
    "NonFinalInputError",
    "OutputError",
    "PlanError",
    "SourceError",
    "count",
    "max",
    "mean",
    "merge",
    "min",
    "ohlc",
    "sum",
]


def __getattr__(name: str) -> object:
    if name == "merge":  # Faust and aiokafka (extra `cep`) are loaded only by apps
        return import_module("cep.shell").merge
    raise AttributeError(f"module 'cep' has no attribute {name!r}")
