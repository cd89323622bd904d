"""Apache Kafka's own command-line tools, from the jars that tests/install_tools.sh fetches."""

import os
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory


def jars() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TIMESPLIT_KAFKA_JARS") or cache / "timesplit" / "kafka-tools")


@cache
def _scratch() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="kafka-tools-")


def _shared_classes() -> list[str]:
    """The first tool leaves behind the classes that it has loaded, and the others start in half the time."""
    archive = Path(_scratch().name) / "classes.jsa"
    # Without its log: it says on the standard output what it could not keep.
    return [f"-XX:{'SharedArchiveFile' if archive.exists() else 'ArchiveClassesAtExit'}={archive}", "-Xlog:disable"]


def run_tool(main_class: str, *arguments: str, stdin: bytes | None = None, timeout_s: float = 60) -> str:
    """The standard output of one of Kafka's tools. Raises: AssertionError with what it said when it fails."""
    assert jars().is_dir(), "Kafka's tools are missing: run tests/install_tools.sh"
    java = ["java", "-Xmx256M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *_shared_classes()]
    command = [*java, "-cp", f"{jars()}/*", main_class]
    done = subprocess.run([*command, *arguments], input=stdin, capture_output=True, timeout=timeout_s, check=False)
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, f"{main_class} {arguments} ended with {done.returncode}:\n{said[-3000:]}"
    return done.stdout.decode()
