"""InitProducerId: an id for an idempotent producer. Source: KIP-98, KIP-360."""

from ...wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from ..context import RequestContext
from ..error_map import REFUSALS
from ..errors import TransactionsNotBuiltError


async def handle(request: InitProducerIdRequest, context: RequestContext) -> InitProducerIdResponse:
    """A producer that comes back with its old id gets a new one, as in Kafka when it has no transactional id."""
    try:
        if request.transactional_id is not None:
            raise TransactionsNotBuiltError(f"transactions are not built yet ({request.transactional_id!r})")
        producer_id = await context.node.allocate_producer_id()
    except REFUSALS as error:
        return InitProducerIdResponse(error_code=context.refuse(error), producer_epoch=-1)
    return InitProducerIdResponse(producer_id=producer_id, producer_epoch=0)
