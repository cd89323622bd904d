"""What a core has for its shell to carry out."""

from collections.abc import Hashable, Sequence

import msgspec

from .entries import Entry
from .following import Install
from .hard_state import HardState
from .interfaces import Index, RoleChange
from .reads import Read


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What to do now, in this order. `truncate_to`: cut the log behind it. `committed`: apply up to here."""

    hard_state: HardState | None
    truncate_to: Index | None
    append: Sequence[Entry]
    committed: Index
    reads: Sequence[Read]
    failed_reads: Sequence[Hashable]
    role_changes: Sequence[RoleChange]
    install_from: Install | None
