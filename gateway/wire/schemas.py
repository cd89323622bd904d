"""Kafka's message schemas as values: JSON with comments in, `MessageSchema` out. Used by the generator alone.

Source: clients/src/main/resources/common/message/README.md in Kafka.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from .errors import GenerateError

FIXED_CODES: Final = {
    "bool": "?",
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "uint16": "H",
    "uint32": "I",
    "float64": "d",
    "uuid": "16s",
}
"""The types of fixed size with their `struct` codes."""
VARIABLE_KINDS: Final = ("string", "bytes", "records")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Versions:
    """A closed range of versions; empty if last < first."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        if text == "none":
            return cls(0, -1)
        first, dash, last = text.removesuffix("+").partition("-")
        if text.endswith("+"):
            return cls(int(first), 2**15 - 1)
        return cls(int(first), int(last) if dash else int(first))

    def __contains__(self, version: int) -> bool:
        return self.first <= version <= self.last

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last + 1))


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """A field; `kind` is its type, or that of the elements if `is_array`; `structure` is set iff `kind` is one."""

    name: str
    kind: str
    is_array: bool
    versions: Versions
    nullable: Versions
    tagged: Versions
    tag: int
    is_ignorable: bool
    default: str
    structure: "StructSchema | None"

    @property
    def snake_name(self) -> str:
        return snake(self.name)


@dataclass(frozen=True, slots=True)
class StructSchema:
    name: str
    fields: tuple[FieldSchema, ...]

    def at(self, version: int) -> tuple[FieldSchema, ...]:
        return tuple(field for field in self.fields if version in field.versions)


@dataclass(frozen=True, slots=True)
class MessageSchema:
    api_key: int
    versions: Versions
    flexible: Versions
    top: StructSchema


def structs_of(structure: StructSchema, versions: Iterable[int]) -> Iterable[StructSchema]:
    """Return the structure and all below it that some of the versions hold, outer ones first."""
    seen = {structure.name: structure}
    for found in structure.fields:
        if found.structure is not None and any(version in found.versions for version in versions):
            for inner in structs_of(found.structure, versions):
                seen.setdefault(inner.name, inner)
    return seen.values()


def has_records(structure: StructSchema, versions: Versions) -> bool:
    return any(
        found.kind == "records"
        for inner in structs_of(structure, versions)
        for found in inner.fields
        if any(version in found.versions for version in versions)
    )


def snake(name: str) -> str:
    """`ThrottleTimeMs` becomes `throttle_time_ms`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def parse_schema(text: str) -> MessageSchema:
    """Read one schema file of a request or response."""
    without_comments = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    source: Json = json.loads(without_comments)
    common = {found["name"]: found["fields"] for found in source.get("commonStructs", [])}
    return MessageSchema(
        api_key=source["apiKey"],
        versions=Versions.parse(source["validVersions"]),
        flexible=Versions.parse(source["flexibleVersions"]),
        top=_struct(source["name"], source["fields"], common),
    )


def _struct(name: str, fields: list[Json], common: Mapping[str, list[Json]]) -> StructSchema:
    return StructSchema(name, tuple(_field(source, common) for source in fields))


def _field(source: Json, common: Mapping[str, list[Json]]) -> FieldSchema:
    kind: str = source["type"].removeprefix("[]")
    is_struct = kind[0].isupper()
    if not is_struct and kind not in FIXED_CODES and kind not in VARIABLE_KINDS:
        raise GenerateError(f"field {source['name']} has the unknown type {kind}")
    default = source.get("default", "")
    return FieldSchema(
        name=source["name"],
        kind=kind,
        is_array=source["type"].startswith("[]"),
        versions=Versions.parse(source["versions"]),
        nullable=Versions.parse(source.get("nullableVersions", "none")),
        tagged=Versions.parse(source.get("taggedVersions", "none")),
        tag=source.get("tag", -1),
        is_ignorable=bool(source.get("ignorable", False)),
        default=default if isinstance(default, str) else str(default).lower(),
        structure=_struct(kind, source.get("fields") or common[kind], common) if is_struct else None,
    )
