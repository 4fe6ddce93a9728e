from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from metrics_pipeline.cli.exits import ATTENTION
from metrics_pipeline.cli.options import AsJson
from metrics_pipeline.cli.output import console, print_json
from metrics_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from metrics_pipeline.cli.findings import Finding
    from metrics_pipeline.settings import Settings

_SIGNS = {"ok": ("✓", "green"), "note": ("•", "yellow"), "wrong": ("✗", "bold red")}


def check(as_json: AsJson = False) -> None:
    """Say what is wrong with settings, servers, schema or expenses.

    Starts and changes nothing. What is wrong ends with what to do, and the
    exit code is then 1.
    """
    from metrics_pipeline.cli.findings import Finding, findings
    from metrics_pipeline.settings import load_settings

    settings = None
    try:
        settings = load_settings()
        found = [Finding("settings", "ok", "valid"), *findings(settings)]
    except ConfigurationError as error:
        found = [Finding("settings", "wrong", line) for line in str(error).splitlines()]
    if as_json:
        print_json({"settings": _values(settings) if settings else None, "findings": [asdict(one) for one in found]})
    else:
        _print(settings, found)
    if any(one.state == "wrong" for one in found):
        raise typer.Exit(ATTENTION)


def _print(settings: Settings | None, found: list[Finding]) -> None:
    if settings:
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, value in _values(settings).items():
            shown = Text("unset" if value is None else str(value))
            table.add_row(name, shown, Text("" if os.environ.get(name) else "default", "dim"))
        console.print(table)
        console.print()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in found:
        said = Text(one.said)
        if one.to_do:
            said.append(f"\n{one.to_do}", "bold")
        table.add_row(Text(*_SIGNS[one.state]), one.about, said)
    console.print(table)


def _values(settings: Settings) -> dict[str, Any]:
    """Every setting under its variable's name. Passwords are not shown."""
    return {name: _shown(name, _value(settings, name)) for name in type(settings).variables()}


def _value(settings: Settings, variable: str) -> Any:
    name = variable.removeprefix("METRICS_").lower()
    limit = name.removeprefix("monitor_")
    return getattr(settings, name) if limit == name else getattr(settings.monitor, limit)


def _shown(name: str, value: Any) -> Any:
    from urllib.parse import urlsplit

    if isinstance(value, tuple):
        return ",".join(value)
    if name.endswith("_URL") and value:
        parts = urlsplit(str(value))
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
    return value if value is None or isinstance(value, (int, float)) else str(value)
