"""Who wants to know what a shard has applied. A callback that fails is logged: what is derived never stops the log."""

import logging
from collections.abc import Callable
from typing import TypeVar

from raft.interfaces import RoleChange

from .commands.append import Append
from .commands.command import At, Command
from .shard_state import ShardState
from .write_split import WriteSplit

AppendObserver = Callable[[WriteSplit, Append, At], None]
RoleObserver = Callable[[RoleChange], None]
C = TypeVar("C", bound=Command)


class Observers:
    """The callbacks of one shard, called in the order in which they came; each `add_…` returns its undo."""

    def __init__(self, name: str, logger: logging.Logger) -> None:
        self._name = name
        self._logger = logger
        self._appends: list[AppendObserver] = []
        self._commands: dict[type[Command], list[Callable[[Command, object, At], None]]] = {}
        self._roles: list[RoleObserver] = []
        self._restores: list[Callable[[], None]] = []

    @property
    def has_any_for_appends(self) -> bool:
        return bool(self._appends)

    def add_for_appends(self, observer: AppendObserver) -> Callable[[], None]:
        self._appends.append(observer)
        return lambda: self._appends.remove(observer)

    def add_for_commands(self, kind: type[C], observer: Callable[[C, object, At], None]) -> Callable[[], None]:
        observers = self._commands.setdefault(kind, [])

        def observe(command: Command, result: object, at: At) -> None:
            assert isinstance(command, kind)
            observer(command, result, at)

        observers.append(observe)
        return lambda: observers.remove(observe)

    def add_for_roles(self, observer: RoleObserver) -> Callable[[], None]:
        self._roles.append(observer)
        return lambda: self._roles.remove(observer)

    def add_for_restores(self, observer: Callable[[], None]) -> Callable[[], None]:
        self._restores.append(observer)
        return lambda: self._restores.remove(observer)

    def tell_append(self, split: WriteSplit, append: Append, at: At) -> None:
        for observer in self._appends:
            try:
                observer(split, append, at)
            except Exception:
                self._logger.exception("%s: an observer of appends failed", self._name)

    def tell_command(self, command: Command, result: object, at: At) -> None:
        for observer in self._commands.get(type(command), ()):
            try:
                observer(command, result, at)
            except Exception:
                self._logger.exception("%s: an observer of %s failed", self._name, type(command).__name__)

    def tell_role(self, change: RoleChange) -> None:
        for observer in tuple(self._roles):
            try:
                observer(change)
            except Exception:
                self._logger.exception("%s: an observer of roles failed", self._name)

    def tell_restored(self) -> None:
        for observer in tuple(self._restores):
            try:
                observer()
            except Exception:
                self._logger.exception("%s: an observer of restores failed", self._name)

    def tell_watchers(self, state: ShardState) -> None:
        """Tell those who watch what the entry has changed, and forget that it has."""
        if not state.changed:
            return
        changed, state.changed = state.changed, set()
        for chain in changed:
            for watcher in tuple(chain.watchers):
                try:
                    watcher()
                except Exception:
                    self._logger.exception("%s: an observer of a partition failed", self._name)
