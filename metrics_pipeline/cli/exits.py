"""Exit codes, as `metrics-pipeline --help` lists them."""

from __future__ import annotations

from metrics_pipeline.errors import MetricsPipelineError, PermanentError, TransientError

ATTENTION = 1
"""The command came to its end, and something needs a person: rejected rows, a finding of `check`."""

PERMANENT = 2
"""As for a wrong option: the same command can only fail again."""

TRANSIENT = 3
"""The same command may succeed later."""

INTERRUPTED = 130


def exit_code(error: MetricsPipelineError) -> int:
    """The code for an error of our own."""
    if isinstance(error, TransientError):
        return TRANSIENT
    return PERMANENT if isinstance(error, PermanentError) else ATTENTION
