"""Where two JSON documents differ, by path."""

from __future__ import annotations

import json
from typing import Any

HEADER = (
    "version",
    "calculated_at",
    "computed_by",
    "background_calculated",
    "code_version",
    "schema",
)
"""Fields of a payload that say how and when it was made; the rest depends on the rows alone."""


def differences(expected: dict[str, Any], actual: dict[str, Any]) -> list[str]:
    """One line for each value that differs, headers aside; keys may come in any order."""
    return _walk("", expected, {key: value for key, value in actual.items() if key not in HEADER})


def _walk(path: str, expected: Any, actual: Any) -> list[str]:
    if isinstance(expected, dict) and isinstance(actual, dict):
        lines = [f"{path}.{key}: missing" for key in expected.keys() - actual.keys()]
        lines += [f"{path}.{key}: not expected" for key in actual.keys() - expected.keys()]
        for key in expected.keys() & actual.keys():
            lines += _walk(f"{path}.{key}", expected[key], actual[key])
        return sorted(lines)
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        return [
            line
            for index, (one, other) in enumerate(zip(expected, actual, strict=True))
            for line in _walk(f"{path}[{index}]", one, other)
        ]
    # Compared as JSON text, so that 1, 1.0, True and "1" are four different things, and -0.0 is not 0.0.
    wanted, got = json.dumps(expected, ensure_ascii=False), json.dumps(actual, ensure_ascii=False)
    return [] if wanted == got else [f"{path}: expected {wanted}, got {got}"]
