"""Timesplit: a Kafka-compatible streaming gateway over a replicated event store.

`import timesplit; timesplit.open(path)` runs it embedded; `from timesplit import cep` is the event-processing layer;
`timesplit serve` runs a node. Names are loaded on first use, so that importing one layer never loads another.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import cep as cep

    from .embedded import Database as Database
    from .embedded import Record as Record
    from .embedded import open_database as open  # noqa: A004 - the public name is timesplit.open

__version__ = "0.1.0"
__all__ = ["Database", "Record", "cep", "open"]

_LAYERS = ("gateway", "cep", "sharding", "raft", "store")


def _check_layers() -> None:
    """Raises: ImportError when another package of the user's shadows one of our layers."""
    home = Path(__file__).resolve().parent.parent
    for layer in _LAYERS:
        spec = find_spec(layer)
        found = Path(spec.origin).resolve() if spec is not None and spec.origin is not None else None
        if found is None or found.parent.parent != home:
            raise ImportError(
                f"timesplit needs its own package {layer!r} from {home}, but Python finds {found or 'nothing'}: "
                f"rename your module {layer!r} or take its folder off sys.path"
            )


_check_layers()


def __getattr__(name: str) -> object:
    if name == "cep":
        return import_module("cep")
    if name == "open":
        return import_module("timesplit.embedded").open_database
    if name in {"Database", "Record"}:
        return getattr(import_module("timesplit.embedded"), name)
    raise AttributeError(f"module 'timesplit' has no attribute {name!r}")
