"""ApiVersions: what we serve. Source: KIP-35, KIP-511."""

from ...wire.error_codes import ErrorCode
from ...wire.messages.api_versions import ApiVersion, ApiVersionsRequest, ApiVersionsResponse
from ..context import RequestContext

TOO_NEW = ApiVersionsRequest(client_software_name="of a version that we do not know")


def handle(request: ApiVersionsRequest, context: RequestContext) -> ApiVersionsResponse:
    code = ErrorCode.UNSUPPORTED_VERSION if request is TOO_NEW else ErrorCode.NONE
    if code:
        context.door.metrics.count_error(code)
    offered = [ApiVersion(key, first, last) for key, first, last in context.door.offered]
    return ApiVersionsResponse(error_code=code, api_keys=offered)
