"""What the HTTP door counts, in plain integers; `timesplit.figures` reads them for /metrics."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class HttpMetrics:
    """`requests` by status; `answers_broken_off`: streamed answers that ended early by our fault or the client's."""

    requests: Counter[int] = field(default_factory=Counter[int])
    queries_running: int = 0
    queries_refused: int = 0
    answers_broken_off: int = 0
    rows_inserted: int = 0
    body_bytes_held: int = 0
