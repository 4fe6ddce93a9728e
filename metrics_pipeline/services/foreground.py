"""Running several programs side by side in the foreground: all start, all stop, none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO

from honcho.colour import get_colours
from honcho.printer import Message, Printer

_STOP_SECONDS = 8  # after this a process that was asked to stop is killed
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Program:
    """One process: its name in the output, its command, and how to tell that it is ready.

    The next program starts once this one is ready; `when_ready` is said then.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], bool] = field(default=lambda: True)
    when_ready: str | None = None


def run_together(
    programs: Sequence[Program], environment: Mapping[str, str], folder: Path, output: IO[str] | None = None
) -> int:
    """Run until one ends, or until SIGINT, SIGTERM or SIGHUP; then stop them all.

    Call it in the main thread. Returns 0 when asked to stop, 1 when a program ended by itself: its name,
    code and last lines are then told.
    """
    output = output or sys.stdout
    with _stop_requests() as stop, _stopping_all() as running:
        printer = _Printer(output, width=max(len(program.name) for program in programs))
        for program, colour in zip(programs, get_colours(), strict=False):
            running.append(_Running(program, environment, folder, printer, colour))
            while not stop.is_set() and not _ended(running) and not program.ready():
                stop.wait(_POLL_SECONDS)
            if stop.is_set() or _ended(running):
                break
            if program.when_ready:
                print(program.when_ready, file=output, flush=True)
        while not stop.is_set() and not _ended(running):
            stop.wait(_POLL_SECONDS)
        ended = None if stop.is_set() else _ended(running)
    if ended is None:
        return 0
    print(ended.last_words(), file=output, flush=True)
    return 1


class _Printer(Printer):  # type: ignore[misc]
    """Honcho's printer, for several threads: a line is never mixed into another."""

    def __init__(self, output: IO[str], width: int) -> None:
        super().__init__(output, width=width)
        self._one_at_a_time = threading.Lock()

    def write(self, message: Message) -> None:
        with self._one_at_a_time:
            super().write(message)


class _Running:
    """A started program, in a session of its own, with a thread that prints what it says."""

    def __init__(
        self, program: Program, environment: Mapping[str, str], folder: Path, printer: Printer, colour: str
    ) -> None:
        self.name = program.name
        self.process = subprocess.Popen(
            program.command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._printer, self._colour = printer, colour
        self._last: deque[str] = deque(maxlen=20)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def signal(self, number: signal.Signals) -> None:
        """To the whole group: also to what the program started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def finish(self) -> None:
        """After a kill: collect the process and print the rest of what it said."""
        self.process.wait()
        self._reader.join(timeout=2)

    def last_words(self) -> str:
        lines = "\n".join(f"  {line}" for line in self._last) or "  (it said nothing)"
        return f"{self.name} ended by itself with code {self.process.returncode}; its last lines:\n{lines}"

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._last.append(line.decode(errors="replace").rstrip())
            self._printer.write(
                Message(type="line", data=line, time=datetime.now(), name=self.name, colour=self._colour)  # noqa: DTZ005
            )


def _ended(running: Sequence[_Running]) -> _Running | None:
    return next((one for one in running if one.process.poll() is not None), None)


@contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP set for as long as the block runs."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _stopping_all() -> Iterator[list[_Running]]:
    """Whatever happens in the block, no started process outlives it."""
    running: list[_Running] = []
    try:
        yield running
    finally:
        for one in reversed(running):
            one.signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while any(one.process.poll() is None for one in running) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        for one in running:
            one.signal(signal.SIGKILL)  # also to children that their parent left behind
            one.finish()
