"""The order in which a served node loads and opens its doors."""

import subprocess
import sys

LATER = ("uvicorn", "starlette", "prometheus_client", "gateway.http.app", "gateway.kafka.server", "pyarrow")


def test_a_start_loads_neither_door_before_the_logs_open() -> None:
    program = f"import sys, timesplit.lifecycle; print([name for name in {LATER!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50)
    assert loaded.stdout == "[]\n"


def test_the_kafka_door_loads_nothing_of_http() -> None:
    late = ("uvicorn", "starlette", "prometheus_client", "gateway.http.app")
    program = f"import sys, timesplit.kafka_door; print([name for name in {late!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50)
    assert loaded.stdout == "[]\n"
