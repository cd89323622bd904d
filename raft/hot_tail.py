"""The newest entries of a log in memory: everything the disk may not have yet, and before it as much as fits."""

from collections.abc import Iterator, Sequence

from .entries import HEADER_BYTES
from .interfaces import Index
from .placed import PlacedEntry

INDEX_MAX = Index((1 << 64) - 1)


class HotTail:
    """Entries without gap up to the log's last one. `bytes_max` bounds only what is durable: that may be let go."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self._entries: dict[Index, PlacedEntry] = {}
        self._first = Index(1)
        self._bytes = 0

    def __contains__(self, index: Index) -> bool:
        return index in self._entries

    @property
    def first_index(self) -> Index:
        """Of the entries here; if there are none, behind all that ever was."""
        return self._first if self._entries else INDEX_MAX

    def get_or_none(self, index: Index) -> PlacedEntry | None:
        return self._entries.get(index)

    def from_index(self, first: Index) -> Iterator[PlacedEntry]:
        index = first
        while (placed := self._entries.get(index)) is not None:
            yield placed
            index = Index(index + 1)

    def add(self, placed: PlacedEntry) -> None:
        index = placed.entry.index
        if not self._entries:
            self._first = index
        assert index == self._first + len(self._entries), f"entry {index} after {len(self._entries)} from {self._first}"
        self._entries[index] = placed
        self._bytes += HEADER_BYTES + placed.entry.size

    def add_all(self, placed: Sequence[PlacedEntry]) -> None:
        """Entries that follow each other."""
        first, count = placed[0].entry.index, len(placed)
        if not self._entries:
            self._first = first
        assert first == self._first + len(self._entries), f"entry {first} after {len(self._entries)} from {self._first}"
        self._entries.update(zip(map(Index, range(first, first + count)), placed, strict=True))
        self._bytes += HEADER_BYTES * count + sum([one.entry.size for one in placed])

    def let_go(self, durable: Index) -> None:
        """Forget the oldest of what is durable, until the rest fits."""
        if not self.bytes_max and durable >= self._first + len(self._entries) - 1:
            self._entries.clear()
            self._bytes = 0
            return
        entries, index, left = self._entries, self._first, self._bytes
        while left > self.bytes_max and index <= durable and entries:
            left -= HEADER_BYTES + entries.pop(index).entry.size
            index = Index(index + 1)
        self._first, self._bytes = index, left

    def cut(self, to_index: Index) -> None:
        """Forget everything behind `to_index`."""
        for index in range(self._first + len(self._entries) - 1, max(to_index, self._first - 1), -1):
            self._forget(Index(index))

    def _forget(self, index: Index) -> None:
        self._bytes -= HEADER_BYTES + self._entries.pop(index).entry.size
