"""Apache Kafka's own command-line tools, from the jars that tests/install_tools.sh fetches."""

import os
import subprocess
from pathlib import Path


def jars() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TIMESPLIT_KAFKA_JARS") or cache / "timesplit" / "kafka-tools")


def run_tool(main_class: str, *arguments: str, stdin: bytes | None = None, timeout_s: float = 60) -> str:
    """The standard output of one of Kafka's tools. Raises: AssertionError with what it said when it fails."""
    assert jars().is_dir(), "Kafka's tools are missing: run tests/install_tools.sh"
    command = ["java", "-Xmx256M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars()}/*", main_class]
    done = subprocess.run([*command, *arguments], input=stdin, capture_output=True, timeout=timeout_s, check=False)
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, f"{main_class} {arguments} ended with {done.returncode}:\n{said[-3000:]}"
    return done.stdout.decode()
