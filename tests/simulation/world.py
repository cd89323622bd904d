"""What all parts of one history share: its seed, its engine, the trace, and what was found wrong."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from zlib import crc32

from .engines import Engine
from .loops import ProcessLoop


class World:
    """`trace` folds everything that crosses a border (frames, disk rounds, answers, faults) into one hash."""

    def __init__(self, seed: int, engine: Engine, *, echo: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.engine = engine
        self.loops: list[ProcessLoop] = []
        self.problems: list[str] = []
        self.counts: Counter[str] = Counter()
        self._hash = blake2b(digest_size=12)
        self._echo = echo

    @property
    def now(self) -> float:
        return self.engine.now

    def random(self, name: str) -> random.Random:
        """A stream of its own for each purpose, so that one more draw here changes nothing there."""
        return random.Random(f"{self.seed} {name}")

    def after(self, delay_s: float, callback: Callable[[], object]) -> None:
        self.engine.after(delay_s, callback)

    async def until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Whether it came to be so in time. What other loops do is looked at: nobody tells ours."""
        end_s = self.now + limit_s
        while not condition():
            if self.now >= end_s:
                return False
            await asyncio.sleep(0.02)
        return True

    def new_loop(self, name: str, *, turn_s: float = 0.0, thread_s: float = 0.0) -> ProcessLoop:
        loop = ProcessLoop(self.engine, name, turn_s=turn_s, thread_s=thread_s)
        self.loops.append(loop)
        return loop

    def trace(self, what: str, *values: object) -> None:
        line = f"{self.engine.now:.6f} {what} {values}"
        self._hash.update(line.encode())
        if self._echo is not None:
            self._echo(line)

    def trace_bytes(self, what: str, sender: object, to: object, data: bytes) -> None:
        self.trace(what, sender, to, len(data), crc32(data))

    def digest(self) -> str:
        return self._hash.hexdigest()

    def problem(self, text: str) -> None:
        """Something that must never be."""
        self.problems.append(f"{self.engine.now:.3f} s: {text}")
        self.trace("PROBLEM", text)
