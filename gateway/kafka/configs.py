"""How settings look to Kafka's admin clients: resource types, sources and value types as numbers.

Source: KIP-133, KIP-226, KIP-569.
"""

from typing import Final

from sharding.interfaces import ConfigEntry

TOPIC: Final = 2
BROKER: Final = 4

OF_TOPIC: Final = 1
OF_BROKER: Final = 4
DEFAULT: Final = 5

_KINDS: Final = {"boolean": 1, "string": 2, "int": 3, "short": 4, "long": 5, "double": 6, "list": 7}
_UNKNOWN_KIND: Final = 0


def kind_of(entry: ConfigEntry) -> int:
    return _KINDS.get(entry.kind, _UNKNOWN_KIND)


def source_of(entry: ConfigEntry, own: int = OF_TOPIC) -> int:
    return DEFAULT if entry.is_default else own


def shown(entry: ConfigEntry) -> str | None:
    """A secret's value never leaves the node."""
    return None if entry.is_sensitive else entry.value
