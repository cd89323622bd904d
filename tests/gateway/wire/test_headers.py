import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.errors import MalformedError, UnencodableError
from gateway.wire.headers import (
    RequestHeader,
    check_end,
    decode_request_header,
    decode_response_header,
    encode_request_header,
    encode_response_header,
    peek_request,
    request_header_version,
    response_header_version,
)

INT16 = st.integers(-(2**15), 2**15 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)
HEADERS = st.builds(RequestHeader, INT16, INT16, INT32, st.none() | st.text(max_size=50))


@given(header=HEADERS, version=st.sampled_from([1, 2]), body=st.binary(max_size=9))
def test_request_headers_survive(header: RequestHeader, version: int, body: bytes) -> None:
    written = encode_request_header(header, version)
    assert decode_request_header(memoryview(written + body), version) == (header, len(written))
    assert peek_request(memoryview(written)) == (header.api_key, header.api_version, header.correlation_id)


@given(header=HEADERS, version=st.sampled_from([0, 1, 2]))
def test_every_truncated_request_header_is_malformed(header: RequestHeader, version: int) -> None:
    written = encode_request_header(header, version)
    for size in range(len(written)):
        with pytest.raises(MalformedError):
            decode_request_header(memoryview(written[:size]), version)


def test_client_id_is_a_legacy_string_even_in_flexible_requests() -> None:
    header = RequestHeader(api_key=18, api_version=3, correlation_id=5, client_id="me")
    assert encode_request_header(header, 2) == bytes.fromhex("0012 0003 00000005 0002 6d65 00")
    assert encode_request_header(header, 1) == bytes.fromhex("0012 0003 00000005 0002 6d65")
    assert encode_request_header(header, 0) == bytes.fromhex("0012 0003 00000005")
    assert encode_request_header(RequestHeader(0, 3, 1, None), 1) == bytes.fromhex("0000 0003 00000001 ffff")


def test_unknown_tags_of_a_request_header_are_skipped() -> None:
    written = bytes.fromhex("0012 0003 00000005 0002 6d65 01 07 02 abcd ff")
    assert decode_request_header(memoryview(written), 2) == (RequestHeader(18, 3, 5, "me"), len(written) - 1)


@pytest.mark.parametrize("client_id", ["fffe", "0005 61", "7fff", "0001 ff"])
def test_bad_client_ids_are_malformed(client_id: str) -> None:
    with pytest.raises(MalformedError):
        decode_request_header(memoryview(bytes.fromhex("0012 0003 00000005" + client_id)), 1)


def test_a_header_that_does_not_fit_is_unencodable() -> None:
    for header in (RequestHeader(2**15, 0, 0), RequestHeader(0, 0, 0, "x" * 2**15), RequestHeader(0, 0, 0, "\ud800")):
        with pytest.raises(UnencodableError):
            encode_request_header(header, 1)


def test_header_versions_follow_the_flexible_versions_with_three_exceptions() -> None:
    assert [request_header_version(0, version, 9) for version in (3, 8, 9, 12)] == [1, 1, 2, 2]
    assert [response_header_version(0, version, 9) for version in (3, 8, 9, 12)] == [0, 0, 1, 1]
    assert request_header_version(47, 0, None) == 1
    assert response_header_version(47, 0, None) == 0
    assert request_header_version(18, 3, 3) == 2
    assert [response_header_version(18, version, 3) for version in range(5)] == [0] * 5
    assert request_header_version(7, 0, 3) == 0


@given(correlation_id=INT32, version=st.sampled_from([0, 1]))
def test_response_headers_survive(correlation_id: int, version: int) -> None:
    written = encode_response_header(correlation_id, version)
    assert len(written) == 4 + version
    assert decode_response_header(memoryview(written), version) == (correlation_id, len(written))
    with pytest.raises(MalformedError):
        decode_response_header(memoryview(written[:-1]), version)


def test_bytes_behind_a_message_are_malformed() -> None:
    check_end(memoryview(b"abc"), 3)
    with pytest.raises(MalformedError, match="ends at byte 2 of 3"):
        check_end(memoryview(b"abc"), 2)
