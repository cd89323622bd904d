"""Power cuts without a power switch, and disks that are full: a node's data on an ext4 of its own, in a file.

After SIGKILL of the node the file holds what had reached the block device; what was written and never synced is in the
page cache of the mounted file system. `cut` copies the file, throws the mounted one away and goes on from the copy.
Needs root.
"""

import subprocess
from contextlib import suppress
from pathlib import Path

IMAGE_BYTES = 1 << 30


class PowerDisk:
    """An ext4 in `image`, mounted at `mount`."""

    def __init__(self, folder: Path, name: str, *, image_bytes: int = IMAGE_BYTES) -> None:
        self.mount = folder / name
        self._folder = folder
        self._name = name
        self._generation = 0
        self.mount.mkdir()
        image = self._image
        with image.open("wb") as file:
            file.truncate(image_bytes)
        # Without these, formatting writes all of the file in the background.
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", str(image))
        self._attach()

    @property
    def _image(self) -> Path:
        return self._folder / f"{self._name}.{self._generation}.ext4"

    def _attach(self) -> None:
        # Five minutes between commits of its own: nothing becomes durable that the node did not sync.
        _run("mount", "-o", "loop,commit=300,noatime", str(self._image), str(self.mount))

    def cut(self) -> None:
        """The node was killed: go on with what was on the device at that moment."""
        before = self._image
        self._generation += 1
        _run("cp", "--sparse=always", str(before), str(self._image))
        _run("umount", str(self.mount))
        before.unlink()
        self._attach()

    def fill(self) -> None:
        """Leave no space at all."""
        with (self.mount / "filler").open("wb") as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
                file.flush()

    def free(self) -> None:
        (self.mount / "filler").unlink()

    def close(self) -> None:
        subprocess.run(["umount", str(self.mount)], check=False, capture_output=True)
        self._image.unlink(missing_ok=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
