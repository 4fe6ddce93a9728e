"""`serve` and `token`: a link that was made opens what it names, and nothing else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from metrics_pipeline_tests.dashboard_process import free_port

SECRET = "a secret of this test, long enough to sign"


@contextmanager
def served(environment: dict[str, str]) -> Iterator[str]:
    """The dashboard's address, which `serve` prints; ended by Ctrl-C, without a traceback."""
    process = subprocess.Popen(
        [Path(sys.executable).with_name("metrics-pipeline"), "serve"],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    try:
        while not (address := re.search(r"Dashboard: (http\S+)", said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        _wait_until_healthy(address[1])
        yield address[1]
    finally:
        process.send_signal(signal.SIGINT)
        said += process.communicate(timeout=20)[0]
    assert "Traceback" not in said


def _wait_until_healthy(address: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"{address}/healthz"):
                return
        except OSError:
            assert time.monotonic() < deadline, "waited 30 s for the dashboard"
            time.sleep(0.1)


def status(url: str, token: str = "") -> int:
    """Of the answer to a browser that is new here: it keeps cookies and follows redirects."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with browser.open(urllib.request.Request(url, headers=headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def guarded(cli, environment) -> dict[str, str]:
    cli("migrate")
    cli("sample", "--accounts", 2, "--months", 1)
    return environment | {"METRICS_DASHBOARD_PORT": str(free_port()), "METRICS_DASHBOARD_SECRET": SECRET}


def test_a_token_opens_its_own_account_on_the_dashboard_that_serve_runs(cli, guarded):
    token, link = cli("token", "--account", 1, **guarded).output.split("\n", 1)
    with served(guarded) as address:
        assert link.strip() == f"Link: {address}/accounts/1?token={token}"
        assert status(f"{address}/accounts/1?token={token}") == 200
        assert status(f"{address}/api/accounts/1/metrics", token) == 200
        assert status(f"{address}/api/accounts/2/metrics", token) == 403
        assert status(f"{address}/api/accounts/1/metrics") == 401


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        (["token", "--account", 1], {"METRICS_DASHBOARD_SECRET": ""}, "METRICS_DASHBOARD_SECRET is not set"),
        (["token", "--account", 1, "--days", 0], {"METRICS_DASHBOARD_SECRET": SECRET}, "more than 0"),
        (["token", "--account", 0], {"METRICS_DASHBOARD_SECRET": SECRET}, "greater than or equal"),
        (["serve"], {"METRICS_DASHBOARD_HOST": "0.0.0.0", "METRICS_DASHBOARD_SECRET": ""}, "will not listen on"),
    ],
)
def test_what_cannot_be_opened_safely_is_refused_with_what_to_set(cli, words, variables, said):
    assert said in " ".join(cli(*words, expect=2, **variables).output.split())


def test_a_port_that_is_taken_is_said_at_once(cli, guarded):
    with served(guarded):
        assert "Stop what uses that port" in " ".join(cli("serve", expect=2, **guarded).output.split())
