"""How commands end: exit codes and what is said."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from metrics_pipeline.cli.application import application
from metrics_pipeline.errors import (
    BadRequest,
    CacheUnavailable,
    ConcurrentUpdate,
    ConfigurationError,
    DatabaseUnavailable,
    MetricsPipelineError,
    SchemaError,
)


def ended_by(error: BaseException) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command that raises."""
    app = application()

    @app.command()
    def failing() -> None:
        raise error

    result = CliRunner().invoke(app, ["failing"])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadRequest, 2),
        (ConfigurationError, 2),
        (SchemaError, 2),
        (DatabaseUnavailable, 3),
        (CacheUnavailable, 3),
        (ConcurrentUpdate, 3),
        (MetricsPipelineError, 1),
    ],
)
def test_the_class_of_an_error_is_its_exit_code(error: type[Exception], code: int) -> None:
    message = "Reading [a] thing: it was away. " * 5
    assert ended_by(error(message)) == (code, "", f"Error: {message}\n")


def test_an_interrupt_is_code_130() -> None:
    assert ended_by(KeyboardInterrupt()) == (130, "", "Error: Interrupted.\n")
