import gzip
import itertools
import tracemalloc
from contextlib import suppress

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.compression import XERIAL_HEADER, Compression, compress, decompress
from store.errors import BatchError, CorruptBatchError, InflatedTooLargeError

CODECS = [codec for codec in Compression if codec is not Compression.NONE]
MIB = 1 << 20


@pytest.mark.parametrize("codec", Compression)
@given(data=st.binary(max_size=300), times=st.integers(1, 400))
def test_what_is_compressed_comes_back(codec: Compression, data: bytes, times: int) -> None:
    plain = data * times
    assert bytes(decompress(codec, compress(codec, plain), len(plain))) == plain


@pytest.mark.parametrize("codec", CODECS)
def test_limit_is_exact(codec: Compression) -> None:
    packed = compress(codec, bytes(100_000))
    assert len(decompress(codec, packed, 100_000)) == 100_000
    with pytest.raises(InflatedTooLargeError):
        decompress(codec, packed, 99_999)


@pytest.mark.parametrize("codec", CODECS)
def test_bomb_is_stopped_before_its_bytes_are_there(codec: Compression) -> None:
    bomb = compress(codec, bytes(64 * MIB))
    tracemalloc.start()
    try:
        with pytest.raises(InflatedTooLargeError):
            decompress(codec, bomb, MIB)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


def test_raw_snappy_is_read_too() -> None:
    plain = b"abc" * 1000
    assert decompress(Compression.SNAPPY, bytes(cramjam.snappy.compress_raw(plain)), 3000) == plain


def test_xerial_stream_is_header_and_blocks() -> None:
    packed = compress(Compression.SNAPPY, bytes(range(256)) * 300)
    assert packed.startswith(bytes.fromhex("82534e41505059000000000100000001"))
    length = int.from_bytes(packed[16:20], "big")
    assert bytes(cramjam.snappy.decompress_raw(packed[20 : 20 + length])) == (bytes(range(256)) * 300)[:32768]


def test_xerial_limit_counts_all_blocks() -> None:
    block = bytes(cramjam.snappy.compress_raw(bytes(1000)))
    stream = XERIAL_HEADER + (len(block).to_bytes(4, "big") + block) * 10
    assert len(decompress(Compression.SNAPPY, stream, 10_000)) == 10_000
    with pytest.raises(InflatedTooLargeError):
        decompress(Compression.SNAPPY, stream, 9_999)


@pytest.mark.parametrize(
    "packed",
    [
        b"\xff\xff\xff\xff\x0f",  # raw: claims 4 GiB
        b"\xff\xff\xff\x7f" + bytes(20),  # raw: claims 256 MiB from 20 bytes
        XERIAL_HEADER + b"\x7f\xff\xff\xff",
        XERIAL_HEADER + b"\xff\xff\xff\xff",
        XERIAL_HEADER + b"\0\0",
        XERIAL_HEADER + b"\0\0\0\0",
    ],
)
def test_lying_snappy_lengths_are_refused_without_allocation(packed: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises((CorruptBatchError, InflatedTooLargeError)):
            decompress(Compression.SNAPPY, packed, 1 << 30)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_zstd_that_claims_too_much_is_refused_by_its_header() -> None:
    # Single segment, 8 bytes of content size: 1 TiB.
    frame = (0xFD2FB528).to_bytes(4, "little") + b"\xe0" + (1 << 40).to_bytes(8, "little") + bytes(8)
    with pytest.raises(InflatedTooLargeError, match="claims"):
        decompress(Compression.ZSTD, frame, MIB)
    # No content size, a window of 2 GiB.
    frame = (0xFD2FB528).to_bytes(4, "little") + b"\x00" + bytes([21 << 3]) + bytes(8)
    with pytest.raises(InflatedTooLargeError, match="window"):
        decompress(Compression.ZSTD, frame, MIB)


@pytest.mark.parametrize("codec", CODECS)
def test_cut_frame_is_corrupt_or_short(codec: Compression) -> None:
    plain = bytes(itertools.islice(itertools.cycle(range(251)), 5000))
    packed = compress(codec, plain)
    for size in range(len(packed)):
        try:
            found = bytes(decompress(codec, packed[:size], 10_000))
        except BatchError:
            continue
        # Codecs without an end mark give what there is; the record count then tells that some is missing.
        assert plain.startswith(found)
        assert codec in {Compression.SNAPPY, Compression.LZ4} or found == plain


@pytest.mark.parametrize("codec", CODECS)
@given(data=st.binary(max_size=100))
def test_garbage_gives_a_typed_error_or_bytes_within_the_limit(codec: Compression, data: bytes) -> None:
    with suppress(BatchError):
        assert len(decompress(codec, data, 1000)) <= 1000


@pytest.mark.parametrize("codec", CODECS)
@given(flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=3))
def test_damaged_frame_gives_a_typed_error_or_bytes_within_the_limit(
    codec: Compression, flips: list[tuple[int, int]]
) -> None:
    packed = bytearray(compress(codec, b"timesplit" * 200))
    for at, flip in flips:
        packed[at % len(packed)] ^= flip
    with suppress(BatchError):
        assert len(decompress(codec, packed, 5000)) <= 5000


def test_gzip_of_other_writers_is_read() -> None:
    assert bytes(decompress(Compression.GZIP, gzip.compress(b"x" * 1000), 1000)) == b"x" * 1000
