"""Which partition a key belongs to: murmur2 as Kafka's producers compute it, for inserts that come another way.

Source: Kafka's default partitioner, `toPositive(murmur2(key)) % partitions`; records without a key go round robin.
"""

from itertools import count

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """The 32-bit hash, unsigned."""
    length = len(key)
    h = (_SEED ^ length) & _MASK
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i : i + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if whole < length:
        h = (h ^ int.from_bytes(key[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_of(key: bytes, partition_count: int) -> int:
    return (murmur2(key) & 0x7FFFFFFF) % partition_count


class Partitioner:
    """Chooses partitions for one topic; keyless records take turns."""

    def __init__(self, partition_count: int) -> None:
        self._partition_count = partition_count
        self._turns = count()

    def choose(self, key: bytes | None) -> int:
        return next(self._turns) % self._partition_count if key is None else partition_of(key, self._partition_count)
