"""What can go wrong in the store. Each class maps to one Kafka code and one HTTP status in the layers above."""


class StoreError(Exception):
    """Base class of every error of this layer."""


class BatchError(StoreError):
    """A record batch that cannot be accepted or read."""


class CorruptBatchError(BatchError):
    """The bytes are damaged: a CRC, a length or a compressed payload does not hold (Kafka code 2)."""


class UnsupportedMagicError(BatchError):
    """A message format before v2 (Kafka code 43)."""


class InvalidRecordError(BatchError):
    """The bytes are whole, but break a rule of the format or of what a client may send (Kafka code 87)."""


class InflatedTooLargeError(InvalidRecordError):
    """A compressed payload inflates to more than the limit."""


class UnsupportedCompressionError(BatchError):
    """The attributes name a codec that does not exist (Kafka code 76)."""


class InvalidSchemaError(StoreError):
    """A schema that breaks a rule of `store.schema`."""


class DamagedIndexError(StoreError):
    """The stored form of an index cannot be read back."""


class DamagedRunError(StoreError):
    """A run, its footer or its manifest is not what was written."""


class MergeError(StoreError):
    """A merge job cannot make its runs: input is missing or damaged, or the result does not verify."""


class InvalidQueryError(StoreError):
    """A question that has no meaning: an unknown attribute, a function that its type lacks, a foreign cursor."""


class QueryTooLargeError(StoreError):
    """An answer beyond a stated limit of rows or of memory."""
