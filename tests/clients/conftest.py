"""One served node for all client tests of a session; tests that kill it start their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.served import ServedNode


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    served = ServedNode(tmp_path_factory.mktemp("node") / "data").start()
    try:
        yield served
    finally:
        served.stop()


@pytest.fixture
def own_node(tmp_path: Path) -> Iterator[ServedNode]:
    """A node that a test may kill and start again; not started yet."""
    served = ServedNode(tmp_path / "data")
    try:
        yield served
    finally:
        served.kill()
