"""One tree of errors. The class says whether a retry can help; the message says what to do."""


class MetricsPipelineError(Exception):
    """Anything this package raises on purpose."""


class PermanentError(MetricsPipelineError):
    """Trying again cannot help: something must be changed first."""


class TransientError(MetricsPipelineError):
    """Trying again may help: a server was away, or another transaction was in the way."""


class ConfigurationError(PermanentError):
    """A setting is missing or wrong."""


class BadRequest(PermanentError):
    """An argument is out of range or of the wrong form."""


class SchemaError(PermanentError):
    """The database lacks tables or columns that the pipeline needs."""


class DatabaseUnavailable(TransientError):
    """PostgreSQL could not be reached, or went away in the middle."""


class CacheUnavailable(TransientError):
    """Redis could not be reached, or went away in the middle."""


class ConcurrentUpdate(TransientError):
    """Other transactions kept changing the same rows, or held them, until the tries or the time were used up."""
