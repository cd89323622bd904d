"""Consumer groups over HTTP: list, describe with lag, delete."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sharding.coordinators.interfaces import GroupDescription
from sharding.errors import GroupNotFoundError, UnknownPartitionError, UnknownTopicError
from sharding.interfaces import NodeApi


@dataclass(frozen=True, slots=True)
class Groups:
    node: NodeApi

    async def list_groups(self, request: Request) -> Response:
        del request
        return JSONResponse({"groups": [_summary(group) for group in await self.node.all_groups()]})

    async def describe(self, request: Request) -> Response:
        group_id = request.path_params["group"]
        group = self.node.groups.describe(group_id)
        committed = await self.node.groups.fetch(group_id, None)
        if group.state == "Dead" and not committed:
            raise GroupNotFoundError(group_id)
        offsets: list[dict[str, object]] = []
        for (topic, partition), found in sorted(committed.items()):
            end = self._end_or_none(topic, partition)
            offsets.append(
                {
                    "topic": topic,
                    "partition": partition,
                    "committed": found.offset,
                    "end": end,
                    "lag": None if end is None else max(0, end - found.offset),
                }
            )
        members = [
            {"member_id": m.member_id, "instance_id": m.instance_id, "client_id": m.client_id, "host": m.client_host}
            for m in group.members
        ]
        return JSONResponse({**_summary(group), "members": members, "offsets": offsets})

    async def delete(self, request: Request) -> Response:
        await self.node.groups.delete(request.path_params["group"])
        return Response(status_code=204)

    def _end_or_none(self, topic: str, partition: int) -> int | None:
        try:
            bounds = self.node.bounds_or_none(self.node.topic(topic), partition)
        except (UnknownTopicError, UnknownPartitionError):
            return None
        return None if bounds is None else bounds[1]


def _summary(group: GroupDescription) -> dict[str, object]:
    return {
        "group": group.group_id,
        "state": group.state,
        "protocol_type": group.protocol_type,
        "protocol": group.protocol,
        "generation": group.generation,
        "member_count": len(group.members),
    }
