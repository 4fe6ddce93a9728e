"""What runs print: warnings and errors. Every event is in the run's own log, in the UI."""

from typing import Any

import dagster as dg

_LEVEL = {"log_level": dg.Field(str, default_value="WARNING", description="The least level that is printed.")}


@dg.configured(dg.colored_console_logger, config_schema=_LEVEL)
def console(config: dict[str, Any]) -> dict[str, Any]:
    """Dagster's console, quieter: a run has some fifteen lines of its own at the level of debugging."""
    return {"log_level": config["log_level"]}
