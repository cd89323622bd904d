"""FindCoordinator: which node serves a group. Source: KIP-98, KIP-699 (several keys)."""

from sharding.errors import InvalidRequestError

from ...wire.messages.find_coordinator import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse
from ..context import RequestContext
from ..error_map import REFUSALS, message_of
from ..errors import TransactionsNotBuiltError

GROUP, TRANSACTION = 0, 1
SEVERAL_KEYS_FROM = 4


def handle(request: FindCoordinatorRequest, context: RequestContext) -> FindCoordinatorResponse:
    if context.version >= SEVERAL_KEYS_FROM:
        found = [_find(request.key_type, key, context) for key in request.coordinator_keys]
        return FindCoordinatorResponse(coordinators=found)
    one = _find(request.key_type, request.key, context)
    return FindCoordinatorResponse(
        error_code=one.error_code, error_message=one.error_message, node_id=one.node_id, host=one.host, port=one.port
    )


def _find(key_type: int, key: str, context: RequestContext) -> Coordinator:
    try:
        if key_type == TRANSACTION:
            raise TransactionsNotBuiltError(f"transactions are not built yet ({key!r})")
        if key_type != GROUP:
            raise InvalidRequestError(f"key type {key_type}, 0 (group) is served")
        node = context.node.coordinator_of("group", key)
    except REFUSALS as error:
        return Coordinator(key, -1, "", -1, context.refuse_group(error), message_of(error))
    return Coordinator(key, node.node_id, node.host, node.kafka_port, 0, None)
