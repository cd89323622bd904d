"""The same answers computed with pandas from the data frame, and the comparison."""
# pandas and confluent-kafka carry partial types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

import math
from collections.abc import Mapping, Sequence

import pandas as pd

HOUR_MS = 3_600_000
COLUMNS = (
    "count", "count(dep_delay)", "mean(dep_delay)",
    "open(dep_delay)", "high(dep_delay)", "low(dep_delay)", "close(dep_delay)",
)  # fmt: skip


class WrongAnswerError(Exception):
    """An answer differs from what the data frame says."""


def hourly(frame: pd.DataFrame) -> pd.DataFrame:
    """Per (window_start, origin): COLUMNS. `frame` has partition and offset: equal times are ordered by them."""
    ordered = frame.sort_values(["ts", "partition", "offset"])
    ordered = ordered.assign(window_start=ordered["ts"] // HOUR_MS * HOUR_MS)
    groups = ordered.groupby(["window_start", "origin"])
    delays = groups["dep_delay"]
    table = pd.DataFrame(
        {
            "count": groups.size(),
            "count(dep_delay)": delays.count(),
            "mean(dep_delay)": delays.mean(),
            "open(dep_delay)": delays.first(),
            "high(dep_delay)": delays.max(),
            "low(dep_delay)": delays.min(),
            "close(dep_delay)": delays.last(),
        }
    )
    return table.sort_index()


def compare(what: str, rows: Sequence[Mapping[str, object]], truth: pd.DataFrame) -> None:
    """Rows with window_start, origin and COLUMNS must equal the table. Raises: WrongAnswerError."""
    found = {(row["window_start"], row["origin"]): row for row in rows}
    if len(found) != len(rows):
        raise WrongAnswerError(f"{what}: {len(rows) - len(found)} windows were given twice")
    wanted = {(int(start), origin): values for (start, origin), values in truth.to_dict("index").items()}
    if found.keys() != wanted.keys():
        raise WrongAnswerError(f"{what}: {len(found)} windows, the data frame has {len(wanted)}")
    for place, values in wanted.items():
        for name in COLUMNS:
            if not _same(found[place][name], values[name]):
                raise WrongAnswerError(f"{what}: {place} {name} is {found[place][name]}, must be {values[name]}")


def _same(found: object, wanted: object) -> bool:
    if wanted is None or wanted is pd.NA or wanted != wanted:  # noqa: PLR0124 - NaN is the only value unlike itself
        return found is None
    return isinstance(found, int | float) and math.isclose(found, float(str(wanted)), rel_tol=1e-9)
