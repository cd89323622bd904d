"""Two other codecs as judges of ours: kio (dataclasses from Kafka's schemas) and kafka-python.

Messages are drawn as kio entities; the bytes kio writes for them are what ours must read and write again.
"""

import dataclasses
import datetime as dt
import functools
import importlib
import io
import pkgutil
import types
import typing
import uuid
import warnings
from typing import Any, NamedTuple

from hypothesis import strategies as st
from kio.schema.errors import ErrorCode
from kio.serial import entity_writer

from gateway.wire.apis import SPOKEN_APIS
from gateway.wire.schemas import snake

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MS = dt.timedelta(milliseconds=1)


class Layout(NamedTuple):
    """One direction of one API in one version, in all three codecs."""

    api: str
    direction: str
    version: int

    def __str__(self) -> str:
        return f"{self.api}-{self.direction}-v{self.version}"

    @property
    def module(self) -> types.ModuleType:
        return importlib.import_module(f"gateway.wire.messages.{snake(self.api)}")

    @property
    def ours(self) -> type:
        return getattr(self.module, self.api + self.direction.capitalize())

    @property
    def is_flexible(self) -> bool:
        first = self.module.FLEXIBLE_FROM
        return first is not None and self.version >= first

    def decode(self, data: bytes) -> tuple[Any, int]:
        return getattr(self.module, f"{self.direction.upper()}_DECODERS")[self.version](memoryview(data), 0)

    def encode(self, message: object) -> bytes:
        return b"".join(getattr(self.module, f"{self.direction.upper()}_ENCODERS")[self.version](message))

    @property
    def kio(self) -> type:
        module = importlib.import_module(f"kio.schema.{snake(self.api)}.v{self.version}.{self.direction}")
        return getattr(module, self.api + self.direction.capitalize())

    @property
    def kafka_python_or_none(self) -> Any:
        found = _kafka_python_classes().get(self.api + self.direction.capitalize())
        return found if found is not None and self.version <= found.max_version else None


LAYOUTS = [
    Layout(api.name, direction, version)
    for api in SPOKEN_APIS
    for direction in ("request", "response")
    for version in range(api.first, api.last + 1)
]


# kio


def kio_bytes(entity: Any) -> bytes:
    stream = io.BytesIO()
    entity_writer(type(entity))(stream, entity)
    return stream.getvalue()


@functools.cache
def kio_entities(kind: type) -> st.SearchStrategy[Any]:
    """Draw entities of a kio class: all fields over their whole range."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{field.name: _values(field, hints[field.name]) for field in dataclasses.fields(kind)})


PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "bytes": st.binary(max_size=200),
    "datetime_i64": st.integers(0, 2**41).map(lambda ms: EPOCH + ms * MS),
    "error_code": st.sampled_from(ErrorCode),
    "float64": st.floats(allow_nan=False),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "int8": st.integers(-128, 127),
    "records": st.binary(max_size=200),
    "string": st.text(max_size=4) | st.sampled_from(["é" * 64, "x" * 126, "x" * 127, "x" * 300]),
    "timedelta_i32": st.integers(-(2**31), 2**31 - 1).map(lambda ms: ms * MS),
    "timedelta_i64": st.integers(-(2**40), 2**40).map(lambda ms: ms * MS),
    "uint16": st.integers(0, 2**16 - 1),
    "uuid": st.uuids(),
}


def _values(field: dataclasses.Field[Any], hint: Any) -> st.SearchStrategy[Any]:
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        inner = next(found for found in arguments if found is not types.NoneType)
        if "tag" in field.metadata and field.default is dataclasses.MISSING:
            return _values(field, inner)
        return st.none() | _values(field, inner)
    if typing.get_origin(hint) is tuple:
        return st.lists(_values(field, arguments[0]), max_size=3).map(tuple)
    return PRIMITIVES[field.metadata["kafka_type"]] if "kafka_type" in field.metadata else kio_entities(hint)


def assert_same(ours: Any, theirs: Any) -> None:
    """Compare a decoded message of ours with a kio entity, field by field and by name."""
    if dataclasses.is_dataclass(theirs):
        if ours is None:
            assert theirs == type(theirs)()  # an absent tag
            return
        for field in dataclasses.fields(theirs):
            name = field.name if hasattr(ours, field.name) else f"{field.name}_ms"
            assert_same(getattr(ours, name), getattr(theirs, field.name))
    elif isinstance(theirs, tuple):
        assert len(ours) == len(theirs)
        for our_item, their_item in zip(ours, theirs, strict=True):
            assert_same(our_item, their_item)
    else:
        assert ours == _plain(theirs, ours)


def _plain(theirs: Any, ours: object) -> Any:
    match theirs:
        case dt.timedelta():
            return theirs // MS
        case dt.datetime():
            return (theirs - EPOCH) // MS
        case uuid.UUID():
            return theirs.bytes
        case None if isinstance(ours, bytes):
            return bytes(16)  # kio's None for Kafka's zero id
        case None if isinstance(ours, int):
            return -1  # kio's None for a time that is not known
        case _:
            return theirs


# kafka-python


@functools.cache
def _kafka_python_classes() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how it loads its schemas
        protocol = importlib.import_module("kafka.protocol")
        for found in pkgutil.walk_packages(protocol.__path__, "kafka.protocol."):
            if not found.name.startswith(("kafka.protocol.old", "kafka.protocol.generate_stubs")):
                importlib.import_module(found.name)
    classes: dict[str, Any] = {}
    waiting: list[Any] = list(importlib.import_module("kafka.protocol.api_message").ApiMessage.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        classes.setdefault(kind.name, kind)
    return classes


def kafka_python_decode(layout: Layout, data: bytes) -> Any:
    message = layout.kafka_python_or_none[layout.version].decode(data)
    message._header = None
    return message


def assert_same_as_kafka_python(ours: Any, theirs: Any, version: int) -> None:
    """Compare the fields that both have in this version, by name."""
    if isinstance(ours, list | tuple):
        assert len(ours) == len(theirs)
        for our_item, their_item in zip(ours, theirs, strict=True):
            assert_same_as_kafka_python(our_item, their_item, version)
    elif hasattr(type(theirs), "_struct"):
        fields = [name for name, field in type(theirs)._struct.fields.items() if field.for_version_q(version)]
        for name in fields:
            if ours is not None and "authorized_operations" not in name:  # kafka-python makes a set of this number
                assert_same_as_kafka_python(getattr(ours, name), getattr(theirs, name), version)
    else:
        assert ours == _plain(theirs, ours)
