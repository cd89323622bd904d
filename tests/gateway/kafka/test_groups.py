"""The APIs of consumer groups: every field arrives at the coordinator and comes back."""

import pytest

from gateway.wire.messages import (
    delete_groups,
    describe_groups,
    find_coordinator,
    heartbeat,
    join_group,
    leave_group,
    list_groups,
    offset_commit,
    offset_delete,
    offset_fetch,
    sync_group,
)
from sharding.errors import (
    CoordinatorLoadingError,
    FencedInstanceIdError,
    GroupMaxSizeReachedError,
    InvalidGroupIdError,
    NotCoordinatorError,
    NotLeaderError,
    RebalanceInProgressError,
)
from tests.support.kafka_door import Served, in_loop, served

PROTOCOLS = [
    join_group.JoinGroupRequestProtocol("range", b"topics"),
    join_group.JoinGroupRequestProtocol("sticky", b"x"),
]


def join_of(member_id: str = "", instance_id: str | None = None) -> join_group.JoinGroupRequest:
    return join_group.JoinGroupRequest("g", 10_000, 60_000, member_id, instance_id, "consumer", PROTOCOLS)


async def call(door: Served, api: str, version: int, request: object):
    return await (await door.connect()).call(api, version, request)


async def joined(door: Served, version: int = 3) -> join_group.JoinGroupResponse:
    answer = await call(door, "join_group", version, join_of())
    assert answer.error_code == 0
    return answer


@pytest.mark.parametrize("version", range(4))
@in_loop
async def test_before_version_4_a_member_is_in_at_its_first_join(version: int) -> None:
    async with served() as door:
        answer = await joined(door, version)
        assert (answer.generation_id, answer.protocol_name, answer.leader) == (1, "range", answer.member_id)
        assert [(m.member_id, m.metadata) for m in answer.members] == [(answer.member_id, b"topics")]
        _, _, wanted = door.node.groups.joined["g"]
        assert wanted.session_timeout_ms == 10_000
        assert wanted.rebalance_timeout_ms == (60_000 if version else 10_000), "version 0 has one timeout for both"
        assert (wanted.client_id, wanted.client_host) == ("raw", "/127.0.0.1")
        assert list(wanted.protocols) == [("range", b"topics"), ("sticky", b"x")]


@pytest.mark.parametrize("version", range(4, 10))
@in_loop
async def test_from_version_4_it_is_given_its_id_first(version: int) -> None:
    async with served() as door:
        first = await call(door, "join_group", version, join_of())
        assert (first.error_code, first.generation_id) == (79, -1)
        assert first.member_id
        second = await call(door, "join_group", version, join_of(first.member_id))
        assert (second.error_code, second.member_id, second.generation_id) == (0, first.member_id, 1)
        if version >= 7:
            assert second.protocol_type == "consumer"
        assert door.node.groups.joined["g"][2].can_skip_assignment == (version >= 9)


@pytest.mark.parametrize("version", range(5, 10))
@in_loop
async def test_a_static_member_needs_no_id_first(version: int) -> None:
    async with served() as door:
        answer = await call(door, "join_group", version, join_of("", "i-1"))
        assert answer.error_code == 0
        assert [m.group_instance_id for m in answer.members] == ["i-1"]


@pytest.mark.parametrize("version", range(10))
@in_loop
async def test_a_refused_join_is_told_in_every_version(version: int) -> None:
    async with served() as door:
        door.node.groups.refusal = GroupMaxSizeReachedError("full")
        answer = await call(door, "join_group", version, join_of("m"))
        assert (answer.error_code, answer.generation_id, answer.member_id, list(answer.members)) == (81, -1, "m", [])


@pytest.mark.parametrize("version", range(6))
@in_loop
async def test_sync_hands_the_assignment_over(version: int) -> None:
    async with served() as door:
        member = (await joined(door)).member_id
        assignments = [sync_group.SyncGroupRequestAssignment(member, b"partitions")]
        request = sync_group.SyncGroupRequest("g", 1, member, None, None, None, assignments)
        answer = await call(door, "sync_group", version, request)
        assert (answer.error_code, answer.assignment) == (0, b"partitions")
        if version >= 5:
            assert (answer.protocol_type, answer.protocol_name) == ("consumer", "range")
        refused = await call(door, "sync_group", version, sync_group.SyncGroupRequest("g", 9, member))
        assert (refused.error_code, refused.assignment) == (22, b"")


@pytest.mark.parametrize("version", range(5))
@in_loop
async def test_a_heartbeat_is_answered_with_the_state_of_the_group(version: int) -> None:
    async with served() as door:
        member = (await joined(door)).member_id
        for request, error, code in (
            (heartbeat.HeartbeatRequest("g", 1, member), None, 0),
            (heartbeat.HeartbeatRequest("g", 2, member), None, 22),
            (heartbeat.HeartbeatRequest("g", 1, "stranger"), None, 25),
            (heartbeat.HeartbeatRequest("g", 1, member), RebalanceInProgressError(), 27),
            (heartbeat.HeartbeatRequest("g", 1, member), FencedInstanceIdError(), 82),
            (heartbeat.HeartbeatRequest("g", 1, member), CoordinatorLoadingError(), 14),
            (heartbeat.HeartbeatRequest("g", 1, member), NotCoordinatorError(), 16),
            (heartbeat.HeartbeatRequest("g", 1, member), NotLeaderError(), 16),
        ):
            door.node.groups.refusal = error
            assert (await call(door, "heartbeat", version, request)).error_code == code


@pytest.mark.parametrize("version", range(6))
@in_loop
async def test_members_leave_one_by_one_or_together(version: int) -> None:
    async with served() as door:
        member = (await joined(door)).member_id
        if version < 3:
            assert (
                await call(door, "leave_group", version, leave_group.LeaveGroupRequest("g", member))
            ).error_code == 0
            again = await call(door, "leave_group", version, leave_group.LeaveGroupRequest("g", member))
            assert again.error_code == 25
            return
        members = [leave_group.MemberIdentity(member), leave_group.MemberIdentity("stranger", "i-9")]
        answer = await call(door, "leave_group", version, leave_group.LeaveGroupRequest("g", "", members))
        assert answer.error_code == 0
        outcomes = [(m.member_id, m.group_instance_id, m.error_code) for m in answer.members]
        assert outcomes == [(member, None, 0), ("stranger", "i-9", 25)]


def commit_of(
    *places: tuple[str, int, int], generation: int = -1, member: str = ""
) -> offset_commit.OffsetCommitRequest:
    return offset_commit.OffsetCommitRequest(
        "g",
        generation,
        member,
        topics=[
            offset_commit.OffsetCommitRequestTopic(
                topic, [offset_commit.OffsetCommitRequestPartition(partition, offset, -1, "note")]
            )
            for topic, partition, offset in places
        ],
    )


def codes(answer: offset_commit.OffsetCommitResponse) -> list[int]:
    return [partition.error_code for topic in answer.topics for partition in topic.partitions]


@pytest.mark.parametrize("version", range(2, 10))
@in_loop
async def test_offsets_are_committed_and_each_unknown_partition_refused_by_itself(version: int) -> None:
    async with served() as door:
        request = commit_of(("t", 0, 7), ("t", 9, 7), ("nowhere", 0, 7))
        assert codes(await call(door, "offset_commit", version, request)) == [0, 3, 3]
        assert list(door.node.groups.offsets["g"]) == [("t", 0)]
        committed = door.node.groups.offsets["g"]["t", 0]
        assert (committed.offset, committed.metadata) == (7, "note")


@in_loop
async def test_a_commit_of_an_old_generation_is_refused_as_a_whole() -> None:
    async with served() as door:
        member = (await joined(door)).member_id
        request = commit_of(("t", 0, 7), ("t", 1, 8), generation=9, member=member)
        assert codes(await call(door, "offset_commit", 8, request)) == [22, 22]
        assert not door.node.groups.offsets


@pytest.mark.parametrize("version", range(1, 8))
@in_loop
async def test_committed_offsets_come_back(version: int) -> None:
    async with served() as door:
        await call(door, "offset_commit", 8, commit_of(("t", 0, 7)))
        request = offset_fetch.OffsetFetchRequest("g", [offset_fetch.OffsetFetchRequestTopic("t", [0, 1])])
        answer = await call(door, "offset_fetch", version, request)
        (topic,) = answer.topics
        found = [(p.partition_index, p.committed_offset, p.metadata, p.error_code) for p in topic.partitions]
        assert found == [(0, 7, "note", 0), (1, -1, "", 0)]
        if version >= 2:
            everything = await call(door, "offset_fetch", version, offset_fetch.OffsetFetchRequest("g", None))
            assert [(t.name, [p.partition_index for p in t.partitions]) for t in everything.topics] == [("t", [0])]


@pytest.mark.parametrize("version", range(1, 8))
@in_loop
async def test_a_refused_offset_fetch_is_told_where_the_version_has_a_place(version: int) -> None:
    async with served() as door:
        door.node.groups.refusal = NotCoordinatorError()
        request = offset_fetch.OffsetFetchRequest("g", [offset_fetch.OffsetFetchRequestTopic("t", [0])])
        answer = await call(door, "offset_fetch", version, request)
        if version >= 2:
            assert answer.error_code == 16
        else:
            assert [(p.committed_offset, p.error_code) for p in answer.topics[0].partitions] == [(-1, 16)]


@pytest.mark.parametrize("version", [8, 9])
@in_loop
async def test_several_groups_are_asked_at_once(version: int) -> None:
    async with served() as door:
        await call(door, "offset_commit", 8, commit_of(("t", 0, 7)))
        wanted = [offset_fetch.OffsetFetchRequestTopics("t", [0])]
        groups = [
            offset_fetch.OffsetFetchRequestGroup("g", topics=None),
            offset_fetch.OffsetFetchRequestGroup("other", topics=wanted),
        ]
        answer = await call(door, "offset_fetch", version, offset_fetch.OffsetFetchRequest(groups=groups))
        found = {
            g.group_id: [(t.name, p.partition_index, p.committed_offset) for t in g.topics for p in t.partitions]
            for g in answer.groups
        }
        assert found == {"g": [("t", 0, 7)], "other": [("t", 0, -1)]}
        door.node.groups.refusal = InvalidGroupIdError()
        refused = await call(door, "offset_fetch", version, offset_fetch.OffsetFetchRequest(groups=groups))
        assert [g.error_code for g in refused.groups] == [24, 24]


@pytest.mark.parametrize("version", range(7))
@in_loop
async def test_the_coordinator_is_found(version: int) -> None:
    async with served() as door:
        request = find_coordinator.FindCoordinatorRequest("g", 0, ["g", "lost"])
        if version >= 4:
            request.key = ""
            answer = await call(door, "find_coordinator", version, request)
            found = [(c.key, c.node_id, c.port, c.error_code) for c in answer.coordinators]
            assert found == [("g", 7, door.address[1], 0), ("lost", -1, -1, 15)]
        else:
            request.coordinator_keys = ()
            answer = await call(door, "find_coordinator", version, request)
            assert (answer.error_code, answer.node_id, answer.port) == (0, 7, door.address[1])
            request.key = "lost"
            assert (await call(door, "find_coordinator", version, request)).error_code == 15


@pytest.mark.parametrize(("kind", "code"), [(1, 53), (2, 42), (99, 42)])
@in_loop
async def test_other_coordinators_are_not_served(kind: int, code: int) -> None:
    async with served() as door:
        request = find_coordinator.FindCoordinatorRequest("", kind, ["x"])
        answer = await call(door, "find_coordinator", 6, request)
        assert [c.error_code for c in answer.coordinators] == [code]


@pytest.mark.parametrize("version", range(6))
@in_loop
async def test_groups_are_listed_by_state_and_type(version: int) -> None:
    async with served() as door:
        await joined(door)
        door.node.groups.offsets["empty"] = {}

        async def listed(**filters: list[str]) -> list[str]:
            answer = await call(door, "list_groups", version, list_groups.ListGroupsRequest(**filters))
            return [group.group_id for group in answer.groups]

        assert await listed() == ["empty", "g"]
        if version >= 4:
            assert await listed(states_filter=["stable"]) == ["g"]
        if version >= 5:
            assert await listed(types_filter=["Classic"]) == ["empty", "g"]
            assert await listed(types_filter=["consumer"]) == []


@pytest.mark.parametrize("version", range(7))
@in_loop
async def test_a_group_is_described_with_its_members(version: int) -> None:
    async with served() as door:
        member = (await joined(door)).member_id
        request = describe_groups.DescribeGroupsRequest(["g", "nobody"], version >= 3)
        group, missing = (await call(door, "describe_groups", version, request)).groups
        assert (group.error_code, group.group_state, group.protocol_data) == (0, "Stable", "range")
        (described,) = group.members
        assert (described.member_id, described.client_id, described.client_host) == (member, "raw", "/127.0.0.1")
        assert described.member_metadata == b"topics"
        assert (missing.group_state, missing.error_code) == ("Dead", 69 if version >= 6 else 0)
        if version >= 3:
            assert group.authorized_operations == 0b1_0100_1000


@pytest.mark.parametrize("version", range(3))
@in_loop
async def test_only_an_empty_group_is_deleted(version: int) -> None:
    async with served() as door:
        await joined(door)
        door.node.groups.offsets["empty"] = {}
        request = delete_groups.DeleteGroupsRequest(["g", "empty", "nobody"])
        answer = await call(door, "delete_groups", version, request)
        assert [(r.group_id, r.error_code) for r in answer.results] == [("g", 68), ("empty", 0), ("nobody", 69)]


@in_loop
async def test_offsets_are_deleted_one_by_one() -> None:
    async with served() as door:
        await call(door, "offset_commit", 8, commit_of(("t", 0, 7)))
        places = [offset_delete.OffsetDeleteRequestPartition(0), offset_delete.OffsetDeleteRequestPartition(1)]
        request = offset_delete.OffsetDeleteRequest("g", [offset_delete.OffsetDeleteRequestTopic("t", places)])
        answer = await call(door, "offset_delete", 0, request)
        assert [(p.partition_index, p.error_code) for p in answer.topics[0].partitions] == [(0, 0), (1, 3)]
        request.group_id = "nobody"
        assert (await call(door, "offset_delete", 0, request)).error_code == 69
