"""The schema of an event stream: which top-level keys of a JSON value are attributes, and of which type."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class AttributeType(StrEnum):
    """`timestamp` is stored as int64 milliseconds; JSON carries it as an integer (ms) or an RFC 3339 string."""

    LONG = "long"
    DOUBLE = "double"
    STRING = "string"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class Schema:
    """Attributes in declared order; `aggregates` names those (long, double, timestamp) with aggregates in inner nodes."""

    attributes: Mapping[str, AttributeType]
    aggregates: Sequence[str]
