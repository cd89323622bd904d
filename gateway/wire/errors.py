"""What can be wrong with bytes on the wire, or with a message that is to become bytes."""


class WireError(Exception):
    """Base of this package's errors."""


class MalformedError(WireError):
    """The peer sent bytes that are no valid message: its connection is of no further use."""


class FrameTooLargeError(MalformedError):
    """The peer announced a frame larger than we are ready to hold."""


class UnencodableError(WireError):
    """A message of ours does not fit its version: a field out of range, null, or unknown there. Our fault."""


class GenerateError(WireError):
    """The schemas are missing, or hold something the generator does not know."""
