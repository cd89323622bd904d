"""What can go wrong at the Kafka door itself; `error_map` maps the errors of the layers below to codes."""


class KafkaDoorError(Exception):
    """Base class of every error of this package."""


class MalformedFrameError(KafkaDoorError):
    """Bytes that are no Kafka request: the connection is closed and counted."""


class UnknownRequestError(KafkaDoorError):
    """An API key or version that we do not offer: closed, as Kafka does."""

    def __init__(self, key: int, version: int) -> None:
        super().__init__(f"api {key} version {version} is not offered")
        self.key, self.version = key, version


class RefusedSilentlyError(KafkaDoorError):
    """A request without an answer (acks=0) failed: closing the connection is the only way to say so."""


class TransactionsNotBuiltError(KafkaDoorError):
    """A transactional id or a transactional batch; transactions are a later step."""


class InvalidAcksError(KafkaDoorError):
    """acks other than -1, 0 or 1."""


class UnknownFetchSessionError(KafkaDoorError):
    """An incremental Fetch; we never hand out a session."""


class LeaderNotAvailableError(KafkaDoorError):
    """A partition has no leader at the moment."""


class UnsupportedHereError(KafkaDoorError):
    """Something that the protocol has and we do not."""


class DuplicateResourceError(KafkaDoorError):
    """The same thing named twice in one request."""


class InvalidReplicaAssignmentError(KafkaDoorError):
    """Replicas chosen by the client: placement is ours."""


class MismatchedEndpointError(KafkaDoorError):
    """DescribeCluster for controllers on the listener of brokers."""


class NotInTransactionError(KafkaDoorError):
    """A transactional batch outside any transaction."""
