"""File `damaged` of a group: durable bytes of this member were lost, and its peers have not healed it yet.

While it is there the member neither votes nor stands for election: it may have acknowledged what it now lacks. It is
written before anything is cut off, and removed when the core says that the durable log holds again what it held.
"""

import msgspec

from .disk import Disk, create_durably

DAMAGE_NAME = "damaged"


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """`is_cold`: found while serving, in entries that a start does not read; the next start reads all of them."""

    reason: str
    is_cold: bool = False


def note_damage(disk: Disk, directory: str, damage: Damage) -> None:
    """Durable when this returns. Raises: OSError."""
    content = msgspec.json.encode(damage) + b"\n"
    create_durably(disk, f"{directory}/{DAMAGE_NAME}", len(content), [content]).close()


def read_damage_or_none(disk: Disk, directory: str) -> Damage | None:
    """That the file is there counts, whatever it says."""
    if DAMAGE_NAME not in disk.names(directory):
        return None
    try:
        return msgspec.json.decode(disk.read(f"{directory}/{DAMAGE_NAME}"), type=Damage)
    except msgspec.DecodeError:
        return Damage(reason="the note of the damage is damaged itself", is_cold=True)


def clear_damage(disk: Disk, directory: str) -> None:
    """The member is whole again; durable when this returns."""
    if DAMAGE_NAME in disk.names(directory):
        disk.remove(f"{directory}/{DAMAGE_NAME}")
        disk.sync_directory(directory)
