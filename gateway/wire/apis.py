"""Which APIs and versions we speak: the table the messages are generated from.

A version is added here (then `python -m gateway.wire.generate`) together with the handler that serves it.
"""

from typing import Final, NamedTuple


class SpokenApi(NamedTuple):
    """An API with its name in Kafka's schemas; versions first and last are both spoken."""

    name: str
    key: int
    first: int
    last: int


SPOKEN_APIS: Final = (
    SpokenApi("Produce", 0, 3, 12),
    SpokenApi("Fetch", 1, 4, 16),
    SpokenApi("ListOffsets", 2, 1, 11),
    SpokenApi("Metadata", 3, 0, 13),
    SpokenApi("OffsetCommit", 8, 2, 9),
    SpokenApi("OffsetFetch", 9, 1, 9),
    SpokenApi("FindCoordinator", 10, 0, 6),
    SpokenApi("JoinGroup", 11, 0, 9),
    SpokenApi("Heartbeat", 12, 0, 4),
    SpokenApi("LeaveGroup", 13, 0, 5),
    SpokenApi("SyncGroup", 14, 0, 5),
    SpokenApi("DescribeGroups", 15, 0, 6),
    SpokenApi("ListGroups", 16, 0, 5),
    SpokenApi("ApiVersions", 18, 0, 4),
    SpokenApi("CreateTopics", 19, 2, 7),
    SpokenApi("DeleteTopics", 20, 1, 6),
    SpokenApi("DeleteRecords", 21, 0, 2),
    SpokenApi("InitProducerId", 22, 0, 5),
    SpokenApi("OffsetForLeaderEpoch", 23, 2, 4),
    SpokenApi("DescribeConfigs", 32, 1, 4),
    SpokenApi("AlterConfigs", 33, 0, 2),
    SpokenApi("DescribeLogDirs", 35, 1, 5),
    SpokenApi("CreatePartitions", 37, 0, 3),
    SpokenApi("DeleteGroups", 42, 0, 2),
    SpokenApi("IncrementalAlterConfigs", 44, 0, 1),
    SpokenApi("OffsetDelete", 47, 0, 0),
    SpokenApi("DescribeCluster", 60, 0, 2),
    SpokenApi("DescribeTopicPartitions", 75, 0, 0),
)
