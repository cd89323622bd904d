"""The wheel alone must do: every module and file of the packages is in it, and imports."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("timesplit", "gateway", "cep", "sharding", "raft", "store")

IMPORT_ALL = """
import importlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root))
count = 0
for layer in sys.argv[2:]:
    for path in sorted((root / layer).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        if not name.endswith("__main__"):
            module = importlib.import_module(name)
            assert str(root) in module.__file__, module.__file__
            count += 1
print(count)
"""


@pytest.mark.timeout(180)
def test_the_wheel_holds_and_imports_everything(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)],
        check=True,
        timeout=150,
    )
    (wheel,) = tmp_path.glob("*.whl")
    inside = tmp_path / "inside"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(inside)
    for layer in LAYERS:
        for path in (ROOT / layer).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert (inside / path.relative_to(ROOT)).is_file(), f"{path.relative_to(ROOT)} is not in the wheel"
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(inside), *LAYERS],
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
        cwd=tmp_path,
    )
    assert int(done.stdout) > 50


def test_a_shadowed_layer_is_reported(tmp_path: Path) -> None:
    (tmp_path / "store.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import timesplit"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "rename your module 'store'" in done.stderr
