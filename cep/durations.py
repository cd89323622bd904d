"""Spans of time as people write them: "250ms", "2s", "5m", "1h", "7d", or a number of milliseconds."""

import re

from .errors import PlanError

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_FORM = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def milliseconds(span: str | int) -> int:
    """Raises: PlanError if it is no span, or not a whole number of milliseconds."""
    if isinstance(span, int):
        return span
    form = _FORM.fullmatch(span.strip())
    if form is None:
        raise PlanError(f'{span!r} is no span of time: write "250ms", "2s", "5m", "1h" or "7d"')
    exact = float(form[1]) * _UNITS_MS[form[2]]
    if exact != int(exact):
        raise PlanError(f"{span!r} is not a whole number of milliseconds")
    return int(exact)
