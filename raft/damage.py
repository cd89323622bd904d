"""File `damaged` of a group: durable bytes of this member were lost, or may be, and its peers have not healed it yet.

Lost: the member neither votes nor stands for election, as it has acknowledged what it now lacks. Perhaps lost (doubt):
what was cut off may have been a torn write, or an entry that has rotted; its vote says so (`ballot`, decision 0010).
The file is written before anything is cut off, and removed when the core says that the durable log holds again what it
held.
"""

import msgspec

from .disk import Disk, create_durably

DAMAGE_NAME = "damaged"


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """`is_cold`: found while serving, in entries that a start does not read; the next start reads all of them."""

    reason: str
    is_cold: bool = False
    is_doubt: bool = False


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
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Damage(reason="the note of the damage is damaged itself", is_cold=True)


def accept_doubt(disk: Disk, directory: str) -> bool:
    """An operator says that what was cut off was torn writes and nothing else; False: there was no doubt.

    Of a group that nobody serves. If one of them was acknowledged, it is lost with this. Raises: OSError.
    """
    damage = read_damage_or_none(disk, directory)
    if damage is None or not damage.is_doubt:
        return False
    clear_damage(disk, directory)
    return True


def clear_damage(disk: Disk, directory: str) -> None:
    """The member is whole again; durable when this returns."""
    if DAMAGE_NAME in disk.names(directory):
        disk.remove(f"{directory}/{DAMAGE_NAME}")
        disk.sync_directory(directory)
