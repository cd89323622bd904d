"""Int64 matrices as few bytes: differences down each column, little-endian, column by column, under zstd."""

import numpy as np

from .blocks import Int64Array
from .compression import Compression, compress, decompress
from .errors import BatchError, DamagedRunError

PACKED_BYTES_MAX = 1 << 30


def pack_columns(matrix: Int64Array) -> bytes:
    """Differences wrap at 64 bits and wrap back, so every int64 is fine."""
    differences = np.diff(matrix, axis=0, prepend=np.zeros((1, matrix.shape[1]), np.int64))
    return compress(Compression.ZSTD, differences.astype("<i8").tobytes("F"))


def unpack_columns(packed: bytes, shape: tuple[int, int]) -> Int64Array:
    """Raises: DamagedRunError."""
    size = shape[0] * shape[1] * 8
    if not 0 <= size <= PACKED_BYTES_MAX:
        raise DamagedRunError(f"a matrix of {shape[0]} by {shape[1]}, at most {PACKED_BYTES_MAX} bytes")
    if size == 0:
        return np.zeros(shape, np.int64)
    try:
        plain = decompress(Compression.ZSTD, packed, size)
    except BatchError as error:
        raise DamagedRunError(f"a matrix that does not unpack: {error}") from error
    if len(plain) != size:
        raise DamagedRunError(f"a matrix of {len(plain)} bytes, {size} expected")
    return np.frombuffer(plain, "<i8").astype(np.int64).reshape(shape, order="F").cumsum(axis=0)
