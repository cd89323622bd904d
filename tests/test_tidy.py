"""What of our style a machine can check beyond the linters."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("timesplit", "gateway", "cep", "sharding", "raft", "store")
EMPTY_NAMES = {"utils", "util", "common", "helper", "helpers", "manager", "misc", "info"}
LINES_MAX = 600


def sources() -> Iterator[Path]:
    for layer in LAYERS:
        yield from sorted(path for path in (ROOT / layer).rglob("*.py") if "messages" not in path.parts)


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_keeps_our_rules(path: Path) -> None:
    text = path.read_text()
    layer = path.relative_to(ROOT).parts[0]
    assert path.stem not in EMPTY_NAMES, "a name that says nothing"
    assert text.count("\n") <= LINES_MAX, "one idea a file"
    for line in text.splitlines():
        assert not re.search(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))", line), f"no issue number: {line}"
        if "pyright: ignore" in line:
            assert re.search(r"pyright: ignore\[\w+(, ?\w+)*\] ?-? ?\S+", line), f"rule and reason: {line}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module and layer != "timesplit":
            assert node.module.split(".")[0] != layer, f"inside a layer import by a dot: {node.module}"
        if isinstance(node, ast.ImportFrom) and node.level > 1:
            assert len(path.relative_to(ROOT / layer).parts) >= node.level, "a relative import that leaves its layer"


def test_no_module_unpickles_or_evaluates() -> None:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not {"pickle", "marshal", "shelve"} & set(names), path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, path
