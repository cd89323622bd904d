"""Python source for one API's messages: classes, and straight-line functions per layout. Used by the generator alone.

A class is the union of its fields over the spoken versions. A function belongs to a structure and a layout: versions
whose function would read the same share it, and it is named after the first of them. Requests' decoders and responses'
encoders have their common cases written out; the reverse directions, for tests and tools, call the primitives.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from .apis import SpokenApi
from .errors import GenerateError
from .functions import (
    LOCAL_NAMES,
    FunctionEmitter,
    ModuleParts,
    default_of,
    may_be_none,
    needs_fresh_default,
    struct_name,
)
from .schemas import FieldSchema, MessageSchema, StructSchema, Versions, has_records, structs_of

PYTHON_TYPES: Final = {
    "bool": "bool",
    "float64": "float",
    "uuid": "bytes",
    "string": "str",
    "bytes": "bytes",
}
"""The annotations of primitive types; all others are `int`, `records` differs by direction."""

LINE_WIDTH_MAX: Final = 110


@dataclass(slots=True)
class ModuleEmitter:
    """Writes the module of one API: classes, functions, and the tables that name them by version."""

    api: SpokenApi
    request: MessageSchema
    response: MessageSchema
    kafka_version: str
    classes: list[str] = field(default_factory=list[str])
    parts: ModuleParts = field(init=False)

    def __post_init__(self) -> None:
        self.parts = ModuleParts(Versions(self.api.first, self.api.last))

    def source(self) -> str:
        tables: list[str] = []
        for schema in (self.request, self.response):
            self._name_classes(schema)
        for schema in (self.request, self.response):
            is_request = schema is self.request
            word = "REQUEST" if is_request else "RESPONSE"
            name = schema.top.name
            decode = {v: self._emitter(schema, v, is_request).decoder(schema.top) for v in self.parts.versions}
            encode = {v: self._emitter(schema, v, not is_request).encoder(schema.top) for v in self.parts.versions}
            wrap = "record_encoders" if has_records(schema.top, self.parts.versions) else "encoders"
            tables += [
                f"{word}_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[{name}, int]]]] = decoders(",
                *ranges_of(decode),
                ")",
                f"{word}_ENCODERS: Final[dict[int, Callable[[{name}], list[Buffer]]]] = {wrap}(",
                *ranges_of(encode),
                ")",
                "",
            ]
        body = "\n\n\n".join(
            [*self.classes, *(text.replace("@name", name) for text, name in self.parts.functions.items())]
        )
        return "\n".join([*self._head(body + "\n".join(tables)), "\n" + body + "\n\n", *tables])

    def _emitter(self, schema: MessageSchema, version: int, is_fast: bool) -> FunctionEmitter:
        return FunctionEmitter(self.parts, schema, version, is_fast)

    def _head(self, rest: str) -> list[str]:
        flexible = self.request.flexible
        title = f"{self.api.name}, versions {self.api.first} to {self.api.last}"
        words = frozenset(re.findall(r"(?<![.\w])\w+", rest))
        from_struct = [
            name
            for name in ("Struct", "pack", "unpack_from")
            if name in words or (name == "Struct" and self.parts.formats)
        ]
        return [
            f"# Generated from Kafka {self.kafka_version}'s schemas by `python -m gateway.wire.generate`. Do not edit.",
            f'"""{title}."""',
            "",
            "from __future__ import annotations",
            "",
            f"from collections.abc import {', '.join(name for name in ('Callable', 'Sequence') if name in words)}",
            *([f"from struct import {', '.join(from_struct)}"] if from_struct else []),
            "from typing import Final",
            "",
            "from ..primitives import (",
            *(f"    {name}," for name in PRIMITIVE_NAMES if name in words),
            ")",
            "",
            f"API_KEY: Final = {self.request.api_key}",
            f"FLEXIBLE_FROM: Final[int | None] = {flexible.first if flexible.last >= flexible.first else None}",
            "",
            *(f'{struct_name(codes)} = Struct(">{codes}")' for codes in sorted(self.parts.formats)),
        ]

    # Classes

    def _name_classes(self, schema: MessageSchema) -> None:
        for structure in reversed(list(structs_of(schema.top, self.parts.versions))):
            name = structure.name
            text = self._class(schema, structure, name)
            if text not in self.classes:
                if any(name == taken for taken in self.parts.class_names.values()):
                    if schema is self.request:
                        raise GenerateError(f"two structures called {name} in one message")
                    name += "Response"
                    text = self._class(schema, structure, name)
                self.classes.append(text)
            self.parts.class_names[schema.top.name, structure.name] = name

    def _class(self, schema: MessageSchema, structure: StructSchema, name: str) -> str:
        fields = self.parts.fields_of(structure)
        names = [found.snake_name for found in fields]
        if LOCAL_NAMES.intersection(names):
            raise GenerateError(f"{structure.name} has a field called like a local variable")
        slots = ", ".join(f'"{found}"' for found in names) + ("," if len(names) == 1 else "")
        lines = [f"class {name}(Message):", *wrapped("    __slots__ = (", slots, ")")]
        if fields:
            lines.append("")
            parameters = ", ".join(["self", *(self._parameter(schema, found) for found in fields)])
            lines += wrapped("    def __init__(", parameters, ") -> None:")
        for found in fields:
            value = found.snake_name
            if needs_fresh_default(found, self.parts.versions):
                value = f"{self.parts.class_names[schema.top.name, found.kind]}() if {value} is None else {value}"
            lines.append(f"        self.{found.snake_name} = {value}")
        return "\n".join(lines)

    def _parameter(self, schema: MessageSchema, found: FieldSchema) -> str:
        kind = self._annotation(schema, found)
        if needs_fresh_default(found, self.parts.versions):
            return f"{found.snake_name}: {kind} | None = None"
        return f"{found.snake_name}: {kind} = {default_of(found, self.parts.versions)}"

    def _annotation(self, schema: MessageSchema, found: FieldSchema) -> str:
        if found.structure is not None:
            kind = self.parts.class_names[schema.top.name, found.kind]
        elif found.kind == "records":
            kind = "memoryview" if schema is self.request else "Records"
        else:
            kind = PYTHON_TYPES.get(found.kind, "int")
        if found.is_array:
            kind = f"Sequence[{kind}]"
        return f"{kind} | None" if may_be_none(found, self.parts.versions) else kind


PRIMITIVE_NAMES: Final = (
    "BYTE",
    "Buffer",
    "COMPACT_NULL",
    "LEGACY_NULL",
    "Message",
    "Records",
    "ZERO_UUID",
    "absent",
    "check_tag_end",
    "decoders",
    "encoders",
    *(
        f"read_{style}_{kind}"
        for style in ("compact", "legacy")
        for kind in ("bytes", "count", "nullable_bytes", "nullable_count", "nullable_string", "records", "string")
    ),
    "read_tag",
    "read_unsigned",
    "record_encoders",
    "skip_tags",
    "unsigned",
    *(
        f"write_{style}_{kind}"
        for style in ("compact", "legacy")
        for kind in ("bytes", "nullable_bytes", "nullable_string", "string")
    ),
    "write_tags",
)


def wrapped(head: str, items: str, tail: str) -> list[str]:
    """Return one line, or one per item if it would be too long."""
    line = head + items + tail
    if len(line) <= LINE_WIDTH_MAX:
        return [line]
    return [head, *(f"        {item}," for item in items.removesuffix(",").split(", ")), "    " + tail]


def ranges_of(functions: Mapping[int, str]) -> list[str]:
    """Return (first version, last version, function) for each run of versions with one function."""
    runs: list[tuple[int, int, str]] = []
    for version, function in functions.items():
        if runs and runs[-1][2] == function:
            runs[-1] = (runs[-1][0], version, function)
        else:
            runs.append((version, version, function))
    return [f"    ({first}, {last}, {function})," for first, last, function in runs]
