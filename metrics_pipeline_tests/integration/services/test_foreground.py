"""Programs side by side: all start, all stop, none is left behind."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from metrics_pipeline.services import foreground
from metrics_pipeline.services.foreground import Program, run_together

if TYPE_CHECKING:
    pass

PYTHON = [sys.executable, "-u", "-c"]
SLEEPS = [*PYTHON, "import time; time.sleep(600)"]
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)"
LEAVES_A_CHILD = (
    "import subprocess, sys; print('child', subprocess.Popen([sys.executable, '-c', sys.argv[1]]).pid); sys.exit(3)"
)


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_when_one_process_dies_all_stop_and_its_last_lines_are_told(tmp_path: Path) -> None:
    output = io.StringIO()
    dies = Program("worker", [*PYTHON, "import sys; print('no disk left'); sys.exit(9)"])
    started = time.monotonic()
    assert run_together([Program("web", SLEEPS), dies], os.environ, tmp_path, output) == 1
    assert time.monotonic() - started < 5
    assert "worker ended by itself with code 9; its last lines:\n  no disk left" in output.getvalue()
    assert "web ended" not in output.getvalue()


def test_a_process_that_dies_after_it_ran_well_is_started_again_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreground, "_RAN_WELL_SECONDS", 0.5)
    monkeypatch.setattr(foreground, "_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(foreground, "_GIVE_UP_SECONDS", 3)
    output, prepared = io.StringIO(), list[float]()
    code = "import pathlib, sys, time; first = not pathlib.Path('ran').exists(); pathlib.Path('ran').touch(); "
    code += "print('first' if first else 'second'); time.sleep(0.7 if first else 0); sys.exit(7)"
    worker = Program("worker", [*PYTHON, code], prepare=lambda: prepared.append(time.monotonic()))
    assert run_together([Program("web", SLEEPS), worker], os.environ, tmp_path, output) == 1
    assert len(prepared) > 2
    assert 2 < prepared[-1] - prepared[0] < 6
    told = output.getvalue()
    assert "worker ended by itself with code 7; its last lines:\n  first\nworker is started again" in told
    assert told.endswith("worker ended by itself with code 7; its last lines:\n  second\n")


def test_a_program_goes_on_when_what_it_says_cannot_be_written(tmp_path: Path) -> None:
    """More than a pipe holds: without a reader it would stand still for ever."""
    talks = Program("worker", [*PYTHON, "print('words ' * 50_000); open('done', 'w')"])
    with suppress(OSError), Path("/dev/full").open("w", encoding="utf-8") as full:
        assert run_together([talks], os.environ, tmp_path, full) == 1
    assert (tmp_path / "done").exists()


def test_a_program_starts_once_the_one_before_it_is_ready(tmp_path: Path) -> None:
    output, mark = io.StringIO(), tmp_path / "ready"
    code = "import pathlib, time; time.sleep(0.5); pathlib.Path('ready').touch(); time.sleep(600)"
    first = Program("first", [*PYTHON, code], ready=mark.exists, when_ready="first is ready")
    second = Program("second", [*PYTHON, "import os; print('ready there:', os.path.exists('ready'))"])
    assert run_together([first, second], os.environ, tmp_path, output) == 1
    assert "first is ready" in output.getvalue()
    assert "ready there: True" in output.getvalue()


def test_what_stopping_interrupts_is_not_told_as_errors(tmp_path: Path) -> None:
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit('Traceback')); "
    program = Program("worker", [*PYTHON, code + "print('works', flush=True); time.sleep(600)"])
    output = io.StringIO()

    def interrupt() -> None:
        while "works" not in output.getvalue():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    assert run_together([program], os.environ, tmp_path, output) == 0
    assert "Traceback" not in output.getvalue()
    assert output.getvalue().endswith("What is interrupted now is done after the next start.\n")


def test_a_program_that_dies_before_it_is_ready_starts_no_other(tmp_path: Path) -> None:
    output = io.StringIO()
    first = Program("first", [*PYTHON, "raise SystemExit('wrong module')"], ready=lambda: False)
    assert run_together([first, Program("second", [*PYTHON, "print('second ran')"])], os.environ, tmp_path, output) == 1
    assert "wrong module" in output.getvalue()
    assert "second ran" not in output.getvalue()


def test_children_whose_parent_left_them_are_stopped_too(tmp_path: Path) -> None:
    output = io.StringIO()
    run_together([Program("parent", [*PYTHON, LEAVES_A_CHILD, DEAF])], os.environ, tmp_path, output)
    child = int(output.getvalue().split("child ")[1].split()[0])
    deadline = time.monotonic() + 5  # it is not ours to wait for
    while not gone(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(child)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    before, output = signal.getsignal(number), io.StringIO()
    says_its_id = [*PYTHON, "import os, time; print('id', os.getpid()); time.sleep(600)"]
    threading.Timer(1, os.kill, (os.getpid(), number)).start()
    started = time.monotonic()
    assert run_together([Program("one", says_its_id), Program("two", says_its_id)], os.environ, tmp_path, output) == 0
    assert time.monotonic() - started < 5
    *said, stopping = output.getvalue().splitlines()
    assert stopping.startswith("Stopping")
    ids = [int(line.split("id ")[1]) for line in said]
    assert [gone(pid) for pid in ids] == [True, True]
    assert signal.getsignal(number) is before


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    output = io.StringIO()
    threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    started = time.monotonic()
    assert run_together([Program("deaf", [*PYTHON, DEAF])], os.environ, tmp_path, output) == 0
    assert 5 < time.monotonic() - started < 15
    assert "deaf" in output.getvalue()
