"""The Python example of README.md runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs(cli, environment, tmp_path: Path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    cli("sample", "--accounts", 20, "--months", 2)
    done = subprocess.run(
        [sys.executable, "-c", example], env=os.environ | environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("cache ")
    assert "budget_usage_pct" in done.stdout
