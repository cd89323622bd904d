"""DescribeCluster: brokers and controller. Source: KIP-700, KIP-919."""

from ...wire.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from .. import operations
from ..context import RequestContext
from ..error_map import message_of
from ..errors import MismatchedEndpointError

BROKERS = 1


def handle(request: DescribeClusterRequest, context: RequestContext) -> DescribeClusterResponse:
    if request.endpoint_type != BROKERS:
        error = MismatchedEndpointError("this is a listener of brokers")
        code = context.refuse(error)
        # Versions before 1 know no endpoint type and cannot get here.
        return DescribeClusterResponse(error_code=code, error_message=message_of(error))
    node = context.node
    asked = request.include_cluster_authorized_operations
    return DescribeClusterResponse(
        cluster_id=node.cluster_id,
        controller_id=node.controller_id,
        brokers=[DescribeClusterBroker(n.node_id, n.host, n.kafka_port, n.rack) for n in node.nodes()],
        cluster_authorized_operations=operations.CLUSTER if asked else operations.NOT_ASKED,
    )
