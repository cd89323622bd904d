"""Errors of the event-processing layer."""


class CepError(Exception):
    """Base class of everything this layer raises on purpose."""


class NonFinalInputError(CepError):
    """A decision (or a publication) over results that may still change; raised when the app is built."""


class PlanError(CepError):
    """A stream is put together in a way that has no meaning; raised when the app is built."""


class BufferFullError(CepError):
    """More events wait for the watermark than the stated bound: a source is silent or its lateness is too large."""


class SourceError(CepError):
    """A source topic is missing, or its records contradict its ticks."""


class OutputError(CepError):
    """Results cannot be published."""
