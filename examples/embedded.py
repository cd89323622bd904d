"""Timesplit without a server: trades go in, one-minute candles come out, in one process over one directory.

python examples/embedded.py [DIRECTORY]
"""

import sys
import tempfile
from datetime import UTC, datetime

import timesplit

BEGIN_MS = int(datetime(2026, 1, 5, 9, 30, tzinfo=UTC).timestamp() * 1000)
PRICES = [101.0, 101.5, 100.5, 102.0, 103.5, 103.0, 102.5, 104.0]


def main(path: str) -> None:
    with timesplit.open(path) as database:
        if "trades" not in [topic.name for topic in database.topics()]:
            schema = {"symbol": "string", "price": "double", "qty": "long"}
            database.create_topic("trades", partitions=2, schema=schema, aggregates=["price", "qty"])
        database.insert(
            "trades",
            (
                timesplit.Record(
                    {"symbol": symbol, "price": price * factor, "qty": 10 + number},
                    key=symbol,
                    timestamp=BEGIN_MS + number * 20_000,
                )
                for symbol, factor in (("ACME", 1.0), ("INIT", 0.5))
                for number, price in enumerate(PRICES)
            ),
        )
        candles = database.aggregate("trades", "count,ohlc(price),sum(qty)", every="1m", by="symbol")
        for row in candles.to_pylist():
            minute = datetime.fromtimestamp(row["window_start"] / 1000, UTC).strftime("%H:%M")
            prices = "  ".join(f"{name} {row[f'{name}(price)']:7.2f}" for name in ("open", "high", "low", "close"))
            print(f"{minute}  {row['symbol']}  {prices}  quantity {row['sum(qty)']}")
        sealed = database.seal("trades")
        assert sealed is not None
        print(f"split {sealed.number}: {sealed.count} events in {', '.join(sealed.files)}, final")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(folder)
