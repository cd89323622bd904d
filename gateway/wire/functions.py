"""Straight-line functions that read and write one structure in one layout. Used by the generator alone.

In the generated source `b` is the buffer, `p` the position, `n` a size or count, `o` the message, `w` the function that
takes what is written. Fixed fields that stand together are one `Struct`; of varints the single byte is the common case.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from .errors import GenerateError
from .schemas import FIXED_CODES, FieldSchema, MessageSchema, StructSchema, Versions, has_records, snake

LOCAL_NAMES: Final = frozenset(
    {"b", "p", "q", "n", "x", "o", "w", "end", "item", "append", "tags", "tag", "pieces", "inner", "outer", "stop"}
)
"""What generated functions call their own variables: no field may be called so."""


@dataclass(slots=True)
class ModuleParts:
    """What the functions of one module share; the names of its classes and functions are unique in it."""

    versions: Versions
    class_names: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """The class of a structure, by the message it stands in and its name in the schema."""
    functions: dict[str, str] = field(default_factory=dict[str, str])
    """Names by text; `@name` stands for the name in the text."""
    formats: set[str] = field(default_factory=set[str])

    def add_function(self, stem: str, version: int, text: str) -> str:
        """Keep a function unless an equal one is there; return its name."""
        return self.functions.setdefault(text, f"_{stem}_{version}")

    def struct_of(self, codes: str) -> str:
        self.formats.add(codes)
        return struct_name(codes)

    def fields_of(self, structure: StructSchema) -> list[FieldSchema]:
        """Return the fields that some spoken version holds: those of the class."""
        return [found for found in structure.fields if any(version in found.versions for version in self.versions)]


@dataclass(slots=True)
class FunctionEmitter:
    """Writes the functions of one message in one version."""

    parts: ModuleParts
    schema: MessageSchema
    version: int
    is_fast: bool

    @property
    def is_flexible(self) -> bool:
        return self.version in self.schema.flexible

    @property
    def style(self) -> str:
        return "compact" if self.is_flexible else "legacy"

    def class_name(self, structure: StructSchema) -> str:
        return self.parts.class_names[self.schema.top.name, structure.name]

    def split(self, structure: StructSchema) -> tuple[list[FieldSchema], list[FieldSchema]]:
        """Return the fields of this version: those in place, and those with a tag by rising tag."""
        present = structure.at(self.version)
        tagged = [found for found in present if self.version in found.tagged]
        return [found for found in present if found not in tagged], sorted(tagged, key=lambda found: found.tag)

    # Decoding

    def decoder(self, structure: StructSchema) -> str:
        """Emit the decoder of a structure and of all below it; return its name."""
        plain, tagged = self.split(structure)
        name = self.class_name(structure)
        lines = ["def @name(b, p, end):"]
        run: list[tuple[str, str]] = []
        for found in plain:
            if found.kind in FIXED_CODES and not found.is_array:
                run.append((found.snake_name, FIXED_CODES[found.kind]))
            else:
                lines += self._unpack(run)
                run = []
                lines += self._decode(found)
        if self.is_flexible:
            run.append(("tags", "B"))
        lines += self._unpack(run)
        if self.is_flexible:
            lines += self._decode_tags(tagged)
        lines.append(f"    return {name}({self._arguments(structure, {*plain, *tagged})}), p")
        return self.parts.add_function(f"decode_{snake(name)}", self.version, "\n".join(lines))

    def _arguments(self, structure: StructSchema, present: set[FieldSchema]) -> str:
        arguments: list[str] = []
        is_positional = True
        for found in self.parts.fields_of(structure):
            if found in present:
                arguments.append(found.snake_name if is_positional else f"{found.snake_name}={found.snake_name}")
            else:
                is_positional = False
        return ", ".join(arguments)

    def _unpack(self, run: Sequence[tuple[str, str]]) -> list[str]:
        if not run:
            return []
        codes = "".join(code for _, code in run)
        size = struct.calcsize(">" + codes)
        if codes == "B":
            return [f"    {run[0][0]} = b[p]", "    p += 1"]
        targets = ", ".join(name for name, _ in run) if len(run) > 1 else f"({run[0][0]},)"
        return [f"    {targets} = {self.parts.struct_of(codes)}.unpack_from(b, p)", f"    p += {size}"]

    def _decode_tags(self, tagged: Sequence[FieldSchema]) -> list[str]:
        if not tagged:
            return ["    if tags:", "        p = skip_tags(b, p - 1, end)"]
        lines = [f"    {found.snake_name} = {default_of(found, self.parts.versions)}" for found in tagged]
        lines += [
            "    if tags:",
            "        tags, p = read_unsigned(b, p - 1, end)",
            "        for _ in range(tags):",
            "            tag, p, stop = read_tag(b, p, end)",
        ]
        for index, found in enumerate(tagged):
            lines.append(f"            {'elif' if index else 'if'} tag == {found.tag}:")
            inner = self._decode_value(found, "stop")
            lines += [f"            {line}" for line in inner]
            lines.append("                check_tag_end(p, stop)")
        lines.append("            p = stop")
        return lines

    def _decode_value(self, found: FieldSchema, end: str) -> list[str]:
        if found.kind in FIXED_CODES and not found.is_array:
            return self._unpack([(found.snake_name, FIXED_CODES[found.kind])])
        return self._decode(found, end)

    def _decode(self, found: FieldSchema, end: str = "end") -> list[str]:
        name = found.snake_name
        is_nullable = self.version in found.nullable
        if found.is_array:
            return self._decode_array(found, end, is_nullable=is_nullable)
        if found.structure is not None:
            call = f"{name}, p = {self.decoder(found.structure)}(b, p, {end})"
            if not is_nullable or end != "end":
                return [f"    {call}"]
            return [
                "    n = b[p]",
                "    p += 1",
                "    if n > 127:",
                f"        {name} = None",
                "    else:",
                f"        {call}",
            ]
        nullable = "nullable_" if is_nullable and found.kind != "records" else ""
        call = f"{name}, p = read_{self.style}_{nullable}{found.kind}(b, p, {end})"
        if found.kind == "records" and not is_nullable:
            raise GenerateError(f"{name}: records that cannot be null")
        if found.kind != "string" or not self.is_fast:
            return [f"    {call}"]
        if self.is_flexible:
            head = ["    n = b[p]", f"    if 0 < n < 128 and (q := p + n) <= {end}:"]
            first = "p + 1"
        else:
            head = [
                f"    (n,) = {self.parts.struct_of('h')}.unpack_from(b, p)",
                f"    if 0 <= n <= {end} - p - 2:",
                "        q = p + 2 + n",
            ]
            first = "p + 2"
        return [*head, f'        {name} = str(b[{first}:q], "utf-8")', "        p = q", "    else:", f"        {call}"]

    def _decode_array(self, found: FieldSchema, end: str, *, is_nullable: bool) -> list[str]:
        name = found.snake_name
        nullable = "nullable_" if is_nullable else ""
        least = self.least_size(found, as_element=True)
        lines = [f"    n, p = read_{self.style}_{nullable}count(b, p, {end}, {least})"]
        if self.is_fast and self.is_flexible:
            is_small = f"    if 0 <= n < 127 and n * {least} < {end} - p:"
            lines = ["    n = b[p] - 1", is_small, "        p += 1", "    else:", f"    {lines[0]}"]
        if found.kind in FIXED_CODES and found.kind != "uuid":
            code = FIXED_CODES[found.kind]
            inner = [f'    {name} = unpack_from(f">{{n}}{code}", b, p)', f"    p += {least} * n"]
        else:
            inner = [f"    {name} = []", f"    append = {name}.append", "    for _ in range(n):"]
            if found.structure is not None:
                inner += [f"        item, p = {self.decoder(found.structure)}(b, p, {end})", "        append(item)"]
            elif found.kind == "uuid":
                inner += ["        append(bytes(b[p : p + 16]))", "        p += 16"]
            else:
                inner += [f"        item, p = read_{self.style}_{found.kind}(b, p, {end})", "        append(item)"]
        if not is_nullable:
            return lines + inner
        return [*lines, "    if n < 0:", f"        {name} = None", "    else:", *(f"    {line}" for line in inner)]

    def least_size(self, found: FieldSchema, *, as_element: bool = False) -> int:
        """Return the fewest bytes a field takes in this version."""
        if found.is_array and not as_element:
            return 1 if self.is_flexible else 4
        if found.structure is not None:
            if self.version in found.nullable and not as_element:
                return 1
            plain, _ = self.split(found.structure)
            return sum(map(self.least_size, plain)) + self.is_flexible
        if found.kind in FIXED_CODES:
            return struct.calcsize(">" + FIXED_CODES[found.kind])
        if self.is_flexible:
            return 1
        return 2 if found.kind == "string" else 4

    # Encoding

    def encoder(self, structure: StructSchema) -> str:
        """Emit the encoder of a structure and of all below it; return its name."""
        plain, tagged = self.split(structure)
        name = self.class_name(structure)
        lines = ["def @name(o, w, pieces):" if self._has_records(structure) else "def @name(o, w):"]
        lines += self._refusals(structure)
        run: list[tuple[str, str]] = []
        for found in plain:
            if found.kind in FIXED_CODES and not found.is_array:
                run.append((f"o.{found.snake_name}", FIXED_CODES[found.kind]))
            else:
                lines += self._pack(run)
                run = []
                lines += self._encode(found)
        if self.is_flexible and not tagged:
            run.append(("0", "B"))
        lines += self._pack(run)
        if tagged:
            lines += self._encode_tags(tagged)
        if len(lines) == 1:
            lines.append("    pass")
        return self.parts.add_function(f"encode_{snake(name)}", self.version, "\n".join(lines))

    def _has_records(self, structure: StructSchema) -> bool:
        return has_records(structure, self.parts.versions)

    def _refusals(self, structure: StructSchema) -> list[str]:
        lines: list[str] = []
        for found in self.parts.fields_of(structure):
            if self.version not in found.versions and not found.is_ignorable:
                lines += [
                    f"    if {self._differs(found)}:",
                    f'        raise absent("{structure.name}.{found.snake_name}")',
                ]
        return lines

    def _differs(self, found: FieldSchema) -> str:
        """Return the condition that a field is not its default."""
        value = f"o.{found.snake_name}"
        default = default_of(found, self.parts.versions)
        if found.structure is not None and not found.is_array:
            fresh = f"{self.class_name(found.structure)}()"
            return f"{value} is not None" + ("" if found.default == "null" else f" and {value} != {fresh}")
        if default == "None":
            return f"{value} is not None"
        if default in {"()", '""', 'b""', "False"}:
            return value if not may_be_none(found, self.parts.versions) else f"{value} is None or {value}"
        return f"{value} != {default}"

    def _pack(self, run: Sequence[tuple[str, str]]) -> list[str]:
        if not run:
            return []
        codes = "".join(code for _, code in run)
        if codes == "B":
            return ["    w(COMPACT_NULL)"]
        return [f"    w({self.parts.struct_of(codes)}.pack({', '.join(value for value, _ in run)}))"]

    def _encode_tags(self, tagged: Sequence[FieldSchema]) -> list[str]:
        lines = ["    tags = []"]
        for found in tagged:
            if found.kind == "records" or (found.structure is not None and self._has_records(found.structure)):
                raise GenerateError(f"{found.name}: records in a tagged field")
            lines += [f"    if {self._differs(found)}:", "        inner = []", "        outer, w = w, inner.append"]
            if found.kind in FIXED_CODES and not found.is_array:
                body = self._pack([(f"o.{found.snake_name}", FIXED_CODES[found.kind])])
            else:
                body = self._encode(found, is_tagged=True)
            lines += [f"    {line}" for line in body]
            lines.append("        w = outer")
            lines.append(f"        tags.append(({found.tag}, inner))")
        return [*lines, "    if tags:", "        write_tags(w, tags)", "    else:", "        w(COMPACT_NULL)"]

    def _encode(self, found: FieldSchema, *, is_tagged: bool = False) -> list[str]:
        value = f"o.{found.snake_name}"
        is_nullable = self.version in found.nullable
        if found.is_array:
            return self._encode_array(found, value, is_nullable=is_nullable)
        if found.structure is not None:
            call = self._call(found.structure, value)
            if not is_nullable or is_tagged:
                return [f"    {call}"]
            return [
                f"    if {value} is None:",
                '        w(b"\\xff")',
                "    else:",
                "        w(BYTE[1])",
                f"        {call}",
            ]
        if found.kind == "records":
            return [f"    pieces.write_{self.style}_records({value})"]
        return self._encode_variable(found.kind, value, is_nullable=is_nullable)

    def _call(self, structure: StructSchema, value: str) -> str:
        last = ", pieces" if self._has_records(structure) else ""
        return f"{self.encoder(structure)}({value}, w{last})"

    def _encode_variable(self, kind: str, value: str, *, is_nullable: bool) -> list[str]:
        nullable = "nullable_" if is_nullable else ""
        if kind == "string" and self.is_fast and not is_nullable:
            return [f"    x = {value}.encode()", *self._encode_size("h"), "    w(x)"]
        return [f"    write_{self.style}_{nullable}{kind}(w, {value})"]

    def _encode_size(self, legacy_code: str) -> list[str]:
        if self.is_flexible:
            return ["    n = len(x) + 1", "    w(BYTE[n] if n < 128 else unsigned(n))"]
        return [f"    w({self.parts.struct_of(legacy_code)}.pack(len(x)))"]

    def _encode_array(self, found: FieldSchema, value: str, *, is_nullable: bool) -> list[str]:
        inner = self._encode_size("i")
        if found.kind in FIXED_CODES and found.kind != "uuid":
            inner.append(f'    w(pack(f">{{len(x)}}{FIXED_CODES[found.kind]}", *x))')
        else:
            inner.append("    for item in x:")
            if found.structure is not None:
                inner.append(f"        {self._call(found.structure, 'item')}")
            elif found.kind == "uuid":
                inner.append(f"        w({self.parts.struct_of('16s')}.pack(item))")
            else:
                inner.append(f"        write_{self.style}_{found.kind}(w, item)")
        if not is_nullable:
            return [f"    x = {value}", *inner]
        null = "COMPACT_NULL" if self.is_flexible else "LEGACY_NULL"
        return [
            f"    x = {value}",
            "    if x is None:",
            f"        w({null})",
            "    else:",
            *(f"    {line}" for line in inner),
        ]


def struct_name(codes: str) -> str:
    return "_" + codes.replace("?", "t")


def may_be_none(found: FieldSchema, versions: Versions) -> bool:
    """Tell whether None is a value of the field: null in some spoken version, or a tag that is left out."""
    if found.structure is not None and not found.is_array and any(version in found.tagged for version in versions):
        return True
    return default_of(found, versions) == "None" or any(
        version in found.nullable for version in versions if version in found.versions
    )


def needs_fresh_default(found: FieldSchema, versions: Versions) -> bool:
    return found.structure is not None and not found.is_array and not may_be_none(found, versions)


def default_of(found: FieldSchema, versions: Versions) -> str:
    """Return a field's default as Python source. A tagged structure is None: left out, as if it had its default."""
    if found.default == "null" or found.kind == "records":
        return "None"
    if found.is_array:
        return "()"
    if found.structure is not None:
        return "None"
    if found.kind == "bool":
        return found.default.capitalize() or "False"
    if found.kind == "uuid":
        return "ZERO_UUID"
    if found.kind == "string":
        return '"' + found.default + '"'
    if found.kind == "bytes":
        return 'b""'
    return str(int(found.default, 0)) if found.default and found.kind != "float64" else found.default or "0"
