"""Topic settings: their names, types, bounds, defaults and meaning, in one table.

Names are Kafka's own wherever Kafka has one. A value is stored as the text it was given as, after it passed its type's
check. `TOPIC_SETTINGS` says of each whether this version *acts* on it; those that are only stored are the rows of
README "Limits". An unknown name is an InvalidConfigError.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from store.errors import InvalidSchemaError
from store.schema import Schema
from store.ticks import LatePolicy

from .errors import InvalidConfigError
from .interfaces import ConfigEntry

LONG_MAX: Final = (1 << 63) - 1
INT_MAX: Final = (1 << 31) - 1
MIB: Final = 1 << 20

Check = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class TopicSetting:
    """`check_or_none` returns what is wrong with a text. `default` None: there is none, and none is shown."""

    name: str
    kind: str
    default: str | None
    check: Check
    is_acted_on: bool
    documentation: str

    @property
    def is_ours(self) -> bool:
        """Not a name of Kafka's."""
        return self.name in OUR_NAMES


def _integer(least: int, most: int) -> Check:
    def check(text: str) -> str | None:
        try:
            value = int(text)
        except ValueError:
            return "is not an integer"
        return None if least <= value <= most else f"is not in [{least}, {most}]"

    return check


def _ratio(text: str) -> str | None:
    try:
        value = float(text)
    except ValueError:
        return "is not a number"
    return None if 0 <= value <= 1 else "is not in [0, 1]"


def _one_of(*words: str) -> Check:
    def check(text: str) -> str | None:
        return None if text in words else f"is not one of {', '.join(words)}"

    return check


def _list_of(*words: str) -> Check:
    def check(text: str) -> str | None:
        given = [word.strip() for word in text.split(",")]
        return None if given and set(given) <= set(words) else f"is not a list of {', '.join(words)}"

    return check


def _boolean(text: str) -> str | None:
    return None if text.lower() in {"true", "false"} else "is neither true nor false"


def _text(text: str) -> str | None:
    return None if len(text) <= 65_536 else f"has {len(text)} characters, at most 65536"


def _schema(text: str) -> str | None:
    try:
        Schema.parse(text)
    except InvalidSchemaError as error:
        return str(error)
    return None


def _long(name: str, default: int, documentation: str, *, least: int = 0, acts: bool = False) -> TopicSetting:
    return TopicSetting(name, "long", str(default), _integer(least, LONG_MAX), acts, documentation)


def _int(name: str, default: int, documentation: str, *, least: int = 0, acts: bool = False) -> TopicSetting:
    return TopicSetting(name, "int", str(default), _integer(least, INT_MAX), acts, documentation)


def _flag(name: str, default: str, documentation: str, *, acts: bool = False) -> TopicSetting:
    return TopicSetting(name, "boolean", default, _boolean, acts, documentation)


_KAFKA = (
    TopicSetting(
        "cleanup.policy", "list", "delete", _list_of("delete", "compact"), False,
        "delete: old data is removed by retention. compact: the newest record of each key is kept.",
    ),
    TopicSetting(
        "compression.type", "string", "producer",
        _one_of("producer", "none", "uncompressed", "gzip", "snappy", "lz4", "zstd"),
        False, "Batches are always kept as the producer compressed them, which is what `producer` means.",
    ),
    _int("compression.gzip.level", -1, "Level used if this topic were compressed by the broker.", least=-1),
    _int("compression.lz4.level", 9, "Level used if this topic were compressed by the broker."),
    _int("compression.zstd.level", 3, "Level used if this topic were compressed by the broker.", least=-131_072),
    _long("delete.retention.ms", 86_400_000, "How long a tombstone of a compacted topic is kept, ms."),
    _long("file.delete.delay.ms", 60_000, "Wait before a file is removed, ms."),
    _long(
        "flush.messages", LONG_MAX,
        "Records between two forced syncs; every acks=all record is synced anyway.", least=1,
    ),
    _long("flush.ms", LONG_MAX, "Time between two forced syncs, ms; every acks=all record is synced anyway."),
    TopicSetting(
        "follower.replication.throttled.replicas", "list", "", _text, False,
        "Replicas throttled as followers.",
    ),
    TopicSetting("leader.replication.throttled.replicas", "list", "", _text, False, "Replicas throttled as leaders."),
    _int("index.interval.bytes", 4096, "Distance of index entries; our offset index has every batch."),
    _int(
        "max.message.bytes", 1_048_588, "Greatest size of one batch, bytes; a larger one is refused.", acts=True,
    ),
    _long("max.compaction.lag.ms", LONG_MAX, "A record is compacted at the latest after this time, ms.", least=1),
    _long("min.compaction.lag.ms", 0, "A record is not compacted before this time, ms."),
    TopicSetting(
        "min.cleanable.dirty.ratio", "double", "0.5", _ratio, False,
        "Share of uncompacted data that starts a compaction.",
    ),
    _int(
        "min.insync.replicas", 1,
        "Replicas that must have a record before acks=all is answered; at least a majority.", least=1,
    ),
    _flag("message.downconversion.enable", "true", "Formats before v2 are never served."),
    TopicSetting(
        "message.format.version", "string", "3.0-IV1", _text, False,
        "Records are always kept in format v2.",
    ),
    _long(
        "message.timestamp.after.max.ms", 3_600_000,
        "A record may be this far ahead of the broker's clock, ms; a further one is refused.", acts=True,
    ),
    _long(
        "message.timestamp.before.max.ms", LONG_MAX,
        "A record may be this far behind the broker's clock, ms; an older one is refused.", acts=True,
    ),
    _long("message.timestamp.difference.max.ms", LONG_MAX, "Kafka's older name for both bounds; refused by neither."),
    TopicSetting(
        "message.timestamp.type", "string", "CreateTime", _one_of("CreateTime", "LogAppendTime"), True,
        "CreateTime: event time is what the producer says. LogAppendTime: the leader stamps its clock.",
    ),
    _flag("preallocate", "false", "Log segments are always preallocated."),
    _long("retention.bytes", -1, "Greatest size of a partition, bytes; -1: no bound.", least=-1),
    _long("retention.ms", -1, "How long sealed data is kept, ms; -1: for ever.", least=-1),
    _long(
        "local.retention.ms", -2,
        "How long this node keeps the log after its data is historic, ms; -2: retention.ms.", least=-2,
    ),
    _long(
        "local.retention.bytes", -2,
        "How much log this node keeps after its data is historic, bytes; -2: retention.bytes.",
        least=-2,
    ),
    _flag("remote.storage.enable", "false", "Historic data lies in runs, which need no switch."),
    _int(
        "segment.bytes", 1_073_741_824,
        "Segment size; segments belong to a shard, not to a topic.", least=1_048_576,
    ),
    _int("segment.index.bytes", 10_485_760, "Index size per segment.", least=4),
    _long("segment.jitter.ms", 0, "Random share of segment.ms."),
    _long("segment.ms", 604_800_000, "Age at which a segment ends; see split.ms for ours.", least=1),
    _flag("unclean.leader.election.enable", "false", "A leader without all acknowledged records is never elected."),
)  # fmt: skip

_OURS = (
    _long("split.ms", 3_600_000, "A time split is cut this long after it opened, ms.", least=1_000, acts=True),
    _long(
        "split.bytes", 256 * MIB,
        "A time split is cut at this size over all partitions, bytes.", least=65_536, acts=True,
    ),
    _long("lateness.ms", 2_000, "How far the watermark stays behind the greatest timestamp, ms.", acts=True),
    _long("idle.ms", 5_000, "A partition without appends for this long does not hold the watermark, ms.", acts=True),
    TopicSetting(
        "late.policy", "string", "accept", _one_of(*(policy.name.lower() for policy in LatePolicy)), True,
        "Late events: accept (a later tick emits them), side (only in the late view), reject (refused when produced).",
    ),
    _long(
        "clock.ahead.ms", 1_000,
        "How far the watermark may pass the broker's clock, ms; -1: without bound.", least=-1, acts=True,
    ),
    _int("history.replication", -1, "Copies of each sealed file; -1: the topic's replication factor.", least=-1),
    _long("tick.ms", 250, "Time between two ticks while data flows, ms.", least=10, acts=True),
    TopicSetting(
        "schema", "string", None, _schema, True,
        'Attributes of the JSON values, as {"name": "long|double|string|boolean|timestamp"}.',
    ),
    TopicSetting(
        "aggregates", "string", None, _text, True,
        'Attributes with aggregates in the index, as ["name", ...].',
    ),
    TopicSetting(
        "view.enabled", "boolean", None, _boolean, True, "Serve the topic's views; true by default with a schema.",
    ),
)  # fmt: skip

OUR_NAMES: Final = frozenset(setting.name for setting in _OURS)
TOPIC_SETTINGS: Final[Mapping[str, TopicSetting]] = {setting.name: setting for setting in (*_KAFKA, *_OURS)}


def check_configs(configs: Mapping[str, str]) -> None:
    """Every name known, every value of its type, and all of them together. Raises: InvalidConfigError."""
    for name, text in configs.items():
        if (setting := TOPIC_SETTINGS.get(name)) is None:
            raise InvalidConfigError(f"unknown topic setting {name!r}")
        if (wrong := setting.check(text)) is not None:
            raise InvalidConfigError(f"{name}={text!r} {wrong}")
    schema_or_none(configs)
    if is_view_enabled(configs) and "compact" in configs.get("cleanup.policy", "delete"):
        raise InvalidConfigError("a compacted topic has no views: compaction would change what they showed")


def changed_configs(configs: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """The settings after a change, checked; None removes one. Raises: InvalidConfigError."""
    for name in changes:
        if name not in TOPIC_SETTINGS:
            raise InvalidConfigError(f"unknown topic setting {name!r}")
    after = dict(configs)
    for name, text in changes.items():
        if text is None:
            after.pop(name, None)
        else:
            after[name] = text
    check_configs(after)
    return after


def schema_or_none(configs: Mapping[str, str]) -> Schema | None:
    """Raises: InvalidConfigError."""
    text = configs.get("schema")
    if text is None:
        if "aggregates" in configs:
            raise InvalidConfigError("aggregates without a schema")
        return None
    try:
        return Schema.parse(text, configs.get("aggregates", "[]"))
    except InvalidSchemaError as error:
        raise InvalidConfigError(str(error)) from error


def text_of(configs: Mapping[str, str], name: str) -> str:
    """The value that holds. The setting must be a known one with a default."""
    text = configs.get(name, TOPIC_SETTINGS[name].default)
    assert text is not None, f"{name} has no default"
    return text


def integer_of(configs: Mapping[str, str], name: str) -> int:
    return int(text_of(configs, name))


def is_view_enabled(configs: Mapping[str, str]) -> bool:
    text = configs.get("view.enabled")
    return "schema" in configs if text is None else text.lower() == "true"


def late_policy(configs: Mapping[str, str]) -> LatePolicy:
    return LatePolicy[text_of(configs, "late.policy").upper()]


def config_entries(configs: Mapping[str, str]) -> list[ConfigEntry]:
    """All settings of a topic, by name; those without a value and a default are left out."""
    entries: list[ConfigEntry] = []
    for name, setting in sorted(TOPIC_SETTINGS.items()):
        text = configs.get(name, setting.default)
        if name == "view.enabled" and text is None:
            text = "true" if is_view_enabled(configs) else "false"
        entries.append(
            ConfigEntry(
                name=name,
                value=text,
                is_default=name not in configs,
                is_read_only=False,
                is_sensitive=False,
                kind=setting.kind,
                documentation=setting.documentation,
            )
        )
    return entries
