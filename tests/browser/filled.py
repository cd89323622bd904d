"""A served node with streams to look at: some sealed splits, one that is open, late events, and a topic of bytes."""

import math
import random

from tests.support.served import ServedNode
from tests.support.waiting import wait_until

BEGIN_MS = 1_767_605_400_000  # 2026-01-05 09:30 UTC
SYMBOLS = ("ACME", "INIT", "UMBR")
SPLITS = 3
EVENTS_PER_SPLIT = 1_500
SPLIT_MS = 90 * 60 * 1000


def fill(node: ServedNode) -> None:
    node.post_json(
        "/api/v1/topics",
        {
            "name": "trades",
            "partitions": 3,
            "schema": {"symbol": "string", "price": "double", "qty": "long"},
            "aggregates": ["price", "qty"],
            "configs": {"idle.ms": "300"},
        },
    )
    draw = random.Random(7)
    for split in range(SPLITS):
        rows = [_trade(draw, split, number) for number in range(EVENTS_PER_SPLIT)]
        node.post_json("/api/v1/topics/trades/records", {"records": rows})
        if split < SPLITS - 1:
            node.post_json("/api/v1/topics/trades/splits/seal", {})
    # Silence closes what is open: the watermark comes to the last event.
    last_ms = max(split["last_ms"] for split in node.get_json("/api/v1/topics/trades/splits")["splits"])
    wait_until(lambda: node.get_json("/api/v1/topics/trades/watermark")["watermark"] == last_ms)
    node.post_json("/api/v1/topics", {"name": "empty.stream", "schema": {"x": "double"}})
    node.post_json("/api/v1/topics", {"name": "log-lines"})
    lines = [{"value": f"line {i}", "timestamp": BEGIN_MS + i * 60_000} for i in range(100)]
    node.post_json("/api/v1/topics/log-lines/records", {"records": lines})


def _trade(draw: random.Random, split: int, number: int) -> dict[str, object]:
    at_ms = BEGIN_MS + split * SPLIT_MS + number * SPLIT_MS // EVENTS_PER_SPLIT - draw.randrange(1_500)
    if split and draw.random() < 0.005:
        at_ms -= SPLIT_MS // 2
    if 300 < number < 360:
        at_ms += 4 * 60_000  # a gap, so that windows are empty
    place = (split + number / EVENTS_PER_SPLIT) * 2
    price = 100 + 8 * math.sin(place) + draw.gauss(0, 0.8)
    symbol = SYMBOLS[number % 3]
    return {
        "key": symbol,
        "timestamp": at_ms,
        "value": {"symbol": symbol, "price": round(price, 2), "qty": draw.randrange(1, 500)},
    }
